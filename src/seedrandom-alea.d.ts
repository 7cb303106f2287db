declare module "seedrandom/lib/alea.js" {
  /** A generator of its own, which touches no global one. */
  export default function alea(seed: string): { double(): number };
}
