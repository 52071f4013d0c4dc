import { createServer } from "node:net";

/** A TCP port of the loopback address that is free now; `preferred` when it is. */
export async function freePort(preferred = 0): Promise<number> {
  const listen = (port: number) =>
    new Promise<number | undefined>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(undefined));
      server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address ? address.port : undefined));
      });
    });
  const found = (preferred > 0 ? await listen(preferred) : undefined) ?? (await listen(0));
  if (found === undefined) throw new Error("no free port on 127.0.0.1");
  return found;
}
