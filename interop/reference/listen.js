// What the reference programs share: the port and the line that tells it.

/** Listens on $PORT (0: any free one) of the loopback address and prints where. */
export function listen(httpServer) {
  httpServer.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${httpServer.address().port}`);
  });
}
