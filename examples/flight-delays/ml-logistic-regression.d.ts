/** The package has no types of its own; this is the part of it that `train.ts` uses. */
declare module "ml-logistic-regression" {
  import type { Matrix } from "ml-matrix";

  export default class LogisticRegression {
    constructor(options: { numSteps: number; learningRate: number });
    /** `target` is a column of class numbers from 0. */
    train(features: Matrix, target: Matrix): void;
    /** One classifier a class; the weights of each tell the class from all others, below zero towards it. */
    readonly classifiers: readonly { readonly weights: Matrix }[];
  }
}
