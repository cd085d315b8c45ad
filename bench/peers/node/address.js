// Where a peer listens: HOST and PORT, as every server of this benchmark reads them.
export function address() {
  return { host: process.env.HOST ?? "127.0.0.1", port: Number(process.env.PORT ?? 3000) };
}
