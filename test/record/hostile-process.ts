/** A service whose hooks reject: Node ends a process for an unhandled rejection, so it must not come to one. */
import { hindcast, memoryStore } from "hindcast";

const hooks = {
  onError: async () => {
    throw new Error("onError rejects");
  },
  logger: {
    warn: async () => {
      throw new Error("the logger rejects");
    },
  },
  keep: {
    name: "asynchronous",
    keeps: (async () => {
      throw new Error("the rule rejects");
    }) as unknown as () => boolean,
  },
};

const which = process.argv[2] as keyof typeof hooks;
const hc = hindcast({
  service: "hostile",
  store: { ...memoryStore(), append: () => Promise.reject(new Error("the store is down")) },
  [which]: hooks[which],
});
const flow = hc.pipeline({ name: "flow" }, () => "decided");
console.log(flow());
await hc.flush();
await new Promise((resolve) => setTimeout(resolve, 20));
console.log("alive");
