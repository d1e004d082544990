/** What becomes of a server in which something fails that nobody foresaw. */

import { expect, onTestFinished, test } from "vitest";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";

const secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

/** Starts a server that, once it is sent SIGWINCH, runs this code where nobody catches what it throws. */
async function startFailing(code: string): Promise<ServeChild> {
  const dataDir = makeDataDir();
  onTestFinished(dataDir.remove);
  const onSignal = `process.once("SIGWINCH", () => setImmediate((secret) => { ${code} }, process.env.SECRET))`;
  const serve = await startServe(dataDir.path, [], {
    nodeArgs: ["--import", `data:text/javascript,${encodeURIComponent(onSignal)}`],
    env: { SECRET: secret },
  });
  onTestFinished(serve.kill);
  return serve;
}

test.each([
  ["thrown", "throw new TypeError('bad value ' + secret + '\\nat ' + secret + ':1:1')", "TypeError"],
  ["rejected", "Promise.reject(new RangeError(secret))", "RangeError"],
  ["rejected with no error", "Promise.reject({ token: secret })", "UnhandledPromiseRejection"],
  ["thrown that is no error", "throw secret", "string"],
  ["thrown twice", "setImmediate(() => { throw new Error(secret) }); throw new Error(secret)", "Error"],
])(
  "a server in which something is %s logs it without values, sends its sessions away and ends",
  async (_, code, error) => {
    const serve = await startFailing(code);
    const [token = ""] = await logIn(serve.address, ["alice"]);
    const alice = connect(serve.address, token);
    onTestFinished(() => alice.close());
    const stream = alice.stream();
    await stream.open();

    serve.signal("SIGWINCH");
    expect(await serve.exited).toBe(70);
    await eventually(() => stream.all("drain").length === 1);

    expect(serve.stderr()).not.toContain(secret);
    const [line = "", ...more] = serve.problems();
    expect(JSON.parse(line)).toMatchObject({ level: "error", msg: "unexpected failure, stopping", error });
    for (const other of more)
      expect(JSON.parse(other)).toMatchObject({ msg: "unexpected failure, stopping" });
  },
);
