export interface Progress {
  /** Tells how many are done. */
  readonly update: (done: number) => void;
  /** Ends the line with a closing remark. */
  readonly finish: (remark: string) => void;
}

/** A bar on a terminal, rewritten in place; a line every 250 anywhere else (a log, a pipe, CI). */
export function progress(label: string, total: number): Progress {
  const stream = process.stdout;
  const width = 30;
  const title = label.padEnd(12);
  let printed = 0;
  return {
    update(done) {
      if (stream.isTTY) {
        const filled = total === 0 ? width : Math.round((width * done) / total);
        const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
        // Only a visible change is written: a thousand writes would slow down what they report on.
        if (percent === printed) return;
        printed = percent;
        stream.write(`\r  ${title} [${"#".repeat(filled)}${".".repeat(width - filled)}] ${done}/${total}`);
      } else if (done - printed >= 250) {
        printed = done;
        stream.write(`  ${title} ${done}/${total}\n`);
      }
    },
    finish(remark) {
      const line = `  ${title} ${remark}`;
      stream.write(stream.isTTY ? `\r${line.padEnd(width + 30)}\n` : `${line}\n`);
    },
  };
}
