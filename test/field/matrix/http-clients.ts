import { httpCapture } from "hindcast/http";
import { undiciCapture } from "hindcast/undici";
import type { Row } from "./row.js";

const HTTP = "`httpCapture()`";
const httpCaptures = async () => ({ http: httpCapture() });

export const httpClients: readonly Row[] = [
  {
    name: "fetch: JSON, a packed body, a post",
    packages: [],
    madeExact: "nothing",
    make: async (_hc, { http }) => ({
      run: async (id) => [
        await (await fetch(`${http}/json?id=${id}`)).json(),
        await (await fetch(`${http}/gzip?id=${id}`)).json(),
        await (await fetch(`${http}/json`, { method: "POST", body: String(Math.random()) })).json(),
      ],
    }),
  },
  {
    name: "undici: fetch, request, an agent",
    packages: ["undici"],
    madeExact: "`undiciCapture(undici)`",
    captures: async () => ({ undici: undiciCapture(await import("undici")) }),
    make: async (_hc, { http }) => {
      const undici = await import("undici");
      const dispatcher = new undici.Agent({ connections: 4 });
      return {
        run: async (id) => {
          const { body } = await undici.request(`${http}/json?id=${id}`, { dispatcher });
          return [await body.json(), await (await undici.fetch(`${http}/gzip`)).json()];
        },
        close: () => dispatcher.close(),
      };
    },
  },
  {
    name: "axios",
    packages: ["axios"],
    madeExact: HTTP,
    captures: httpCaptures,
    make: async (_hc, { http }) => {
      const { default: axios } = await import("axios");
      const client = axios.create({ baseURL: http });
      return {
        run: async (id) => {
          const first = await client.get<unknown>(`/json?id=${id}`);
          const failed = await client
            .post("/missing", { id })
            .catch((error: { response?: { status: number } }) => error.response?.status);
          return [first.data, first.status, (await client.get<unknown>("/gzip")).data, failed] as unknown;
        },
      };
    },
  },
  {
    name: "got",
    packages: ["got"],
    madeExact: HTTP,
    captures: httpCaptures,
    make: async (_hc, { http }) => {
      const { default: got } = await import("got");
      return {
        run: async (id) => [
          await got(`${http}/json?id=${id}`).json(),
          await got.post(`${http}/gzip`, { json: { id } }).json(),
          await got(`${http}/missing`, { retry: { limit: 0 } }).catch((error: Error) => error.name),
        ],
      };
    },
  },
  {
    name: "ky",
    packages: ["ky"],
    madeExact: "nothing",
    make: async (_hc, { http }) => {
      const { default: ky } = await import("ky");
      return {
        run: async (id) => [
          await ky(`${http}/json?id=${id}`).json(),
          await ky.post(`${http}/gzip`, { json: { id } }).json(),
          await ky(`${http}/missing`, { retry: 0 }).catch((error: Error) => error.name),
        ],
      };
    },
  },
  {
    name: "node-fetch",
    packages: ["node-fetch"],
    madeExact: HTTP,
    captures: httpCaptures,
    make: async (_hc, { http }) => {
      const { default: nodeFetch } = await import("node-fetch");
      return {
        run: async (id) => [
          await (await nodeFetch(`${http}/json?id=${id}`)).json(),
          await (await nodeFetch(`${http}/gzip`)).json(),
        ],
      };
    },
  },
  {
    name: "superagent",
    packages: ["superagent"],
    madeExact: HTTP,
    captures: httpCaptures,
    make: async (_hc, { http }) => {
      const { default: superagent } = await import("superagent");
      return {
        run: async (id) => {
          const read = await superagent.get(`${http}/json`).query({ id });
          const sent = await superagent.post(`${http}/gzip`).send({ id });
          return [read.body, sent.body, sent.status] as unknown;
        },
      };
    },
  },
  {
    name: "stripe: a page, auto-paging",
    packages: ["stripe"],
    madeExact: HTTP,
    captures: httpCaptures,
    make: async (_hc, { http }) => {
      const { default: Stripe } = await import("stripe");
      const { hostname, port } = new URL(http);
      const stripe = new Stripe("sk_test_x", { host: hostname, port: Number(port), protocol: "http" });
      return {
        run: async () => {
          const page = await stripe.customers.list({ limit: 2 });
          const all = await stripe.customers.list({ limit: 2 }).autoPagingToArray({ limit: 4 });
          return [page.data.map(({ id }) => id), all.map(({ id }) => id)];
        },
      };
    },
  },
];
