/** What is said of a series of measurements: the median, and the quartiles as its spread. */
export interface Distribution {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly minimum: number;
  readonly count: number;
}

export function distributionOf(samples: readonly number[]): Distribution {
  if (samples.length === 0) throw new Error("There is no distribution of no samples.");
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    minimum: sorted[0] as number,
    count: sorted.length,
  };
}

export function median(samples: readonly number[]): number {
  return distributionOf(samples).median;
}

/** The value below which so large a share of the samples is. */
export function quantileOf(samples: readonly number[], share: number): number {
  return quantile(
    samples.toSorted((a, b) => a - b),
    share,
  );
}

function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}
