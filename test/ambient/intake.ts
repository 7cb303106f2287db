/** A service that is given the platform's own values, for `body-source.test.ts` and `intake-process.ts`. */
import { fileStore, type Hindcast, hindcast } from "hindcast";

export interface Upload {
  readonly form: FormData;
  readonly headers: Headers;
  readonly blob: Blob;
  readonly signal: AbortSignal;
  readonly url: URL;
  readonly params: URLSearchParams;
}

export function makeIntake(dir: string) {
  const hc: Hindcast = hindcast({ service: "intake", store: fileStore({ dir }) });

  const parse = hc.ingest(
    { name: "parse", data: { name: "orders", version: "1" } },
    async (request: Request) => {
      const length = (await request.clone().text()).length;
      return { order: (await request.json()) as { item: string }, length, used: request.bodyUsed };
    },
  );
  const order = hc.pipeline({ name: "order" }, async (request: Request) => {
    const { method, url } = request;
    return { ...(await parse(request)), method, url, client: request.headers.get("x-client") };
  });

  const scan = hc.tool({ name: "scan" }, async (file: File) => {
    const [head, whole] = await Promise.all([file.slice(0, 4).text(), file.arrayBuffer()]);
    return { name: file.name, head, sum: new Uint8Array(whole).reduce((total, byte) => total + byte, 0) };
  });
  const upload = hc.pipeline(
    { name: "upload" },
    async ({ form, headers, blob, signal, url, params }: Upload) => ({
      fields: [...form.keys()],
      scans: await Promise.all(form.getAll("scan").map((file) => scan(file as File))),
      text: await blob.text(),
      cookies: headers.getSetCookie(),
      aborted: [signal.aborted, String(signal.reason)],
      host: url.host,
      queries: params.getAll("q"),
    }),
  );
  return { hc, order, upload };
}

export function exampleRequest(): Request {
  return new Request("https://shop.example/orders?id=7", {
    method: "POST",
    headers: { "x-client": "till 4" },
    body: JSON.stringify({ item: "tea" }),
  });
}

export function exampleUpload(): Upload {
  const form = new FormData();
  form.append("note", "two pages");
  form.append("scan", new File(["%PDF page one"], "one.pdf", { type: "application/pdf" }));
  form.append("scan", new File(["%PDF page two!"], "two.pdf", { type: "application/pdf" }));
  const cookies: [string, string][] = [
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ];
  return {
    form,
    headers: new Headers(cookies),
    blob: new Blob(["plain ", "text"], { type: "text/plain" }),
    signal: AbortSignal.abort(new Error("too late")),
    url: new URL("https://shop.example/uploads"),
    params: new URLSearchParams("q=1&q=2"),
  };
}
