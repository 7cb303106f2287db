/** How well predicted chances fit what happened. */
export interface Metrics {
  /** The share of late flights. */
  readonly baseRate: number;
  /** The chance that a late flight was given a higher score than one on time; 0.5 is guessing. */
  readonly auc: number;
  /** The mean of `-ln` of the chance given to what happened, in nats; lower is better. */
  readonly logLoss: number;
  /** The log loss of always predicting the base rate. */
  readonly baseLogLoss: number;
}

export function measure(chances: readonly number[], outcomes: readonly boolean[]): Metrics {
  const late = outcomes.filter(Boolean).length;
  const baseRate = late / outcomes.length;
  const ranked = chances
    .map((chance, index) => ({ chance, late: outcomes[index] === true }))
    .sort((one, other) => one.chance - other.chance);
  let rankSum = 0;
  for (let start = 0; start < ranked.length; ) {
    let end = start;
    while (end < ranked.length && ranked[end]?.chance === ranked[start]?.chance) end++;
    // Equal chances share the mean of their ranks.
    const rank = (start + 1 + end) / 2;
    for (let index = start; index < end; index++) if (ranked[index]?.late) rankSum += rank;
    start = end;
  }
  return {
    baseRate,
    auc: (rankSum - (late * (late + 1)) / 2) / (late * (outcomes.length - late)),
    logLoss: logLoss(chances, outcomes),
    baseLogLoss: logLoss(
      outcomes.map(() => baseRate),
      outcomes,
    ),
  };
}

function logLoss(chances: readonly number[], outcomes: readonly boolean[]): number {
  let sum = 0;
  chances.forEach((chance, index) => {
    const given = outcomes[index] === true ? chance : 1 - chance;
    sum -= Math.log(Math.min(Math.max(given, 1e-12), 1));
  });
  return sum / chances.length;
}
