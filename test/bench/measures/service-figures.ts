/** What the processes of the load test tell. */
export interface ServiceLoad {
  /** Milliseconds from when a request was due to its response. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly requests: number;
  readonly failed: number;
}

export interface ServiceThroughput {
  /** Requests. */
  readonly perSecond: number;
  readonly failed: number;
}

export interface ServiceState {
  /** Delay of the event loop, in milliseconds, since it was last asked. */
  readonly delayP50: number;
  readonly delayP99: number;
  readonly delayMaximum: number;
  /** Share of the time in which the event loop was at work. */
  readonly utilization: number;
  readonly stored: number;
  readonly lost: number;
}
