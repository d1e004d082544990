import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { requestOf } from "../../typescript/arguments.ts";
import { isTransient, Status } from "../../typescript/errors.ts";
import type { Login } from "../../typescript/login.ts";
import { Backoff } from "../../typescript/reconnect.ts";
import { sleep } from "../../typescript/time.ts";
import { toParlanceError } from "./errors.ts";

/** How long one try of a call may take. */
const attemptMs = 10_000;
/** How long calls that change nothing are tried again. */
const repeatMs = 20_000;

/** Makes unary calls as the user who is logged in. */
export class Calls {
  readonly #transport: Transport;
  readonly #login: Login;
  readonly #closed: AbortSignal;

  constructor(transport: Transport, login: Login, closed: AbortSignal) {
    this.#transport = transport;
    this.#login = login;
    this.#closed = closed;
  }

  /**
   * Makes a call once; a second time when the token was refused.
   *
   * @throws ParlanceError
   */
  async once<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    deadlineMs = attemptMs,
  ): Promise<MessageShape<O>> {
    const token = await this.#login.token();
    try {
      return await this.#attempt(method, request, token, deadlineMs);
    } catch (error) {
      if (toParlanceError(error).code !== Status.UNAUTHENTICATED) throw toParlanceError(error);
      this.#login.refuse(token);
    }
    const newToken = await this.#login.token();
    return await this.#attempt(method, request, newToken, deadlineMs).catch((error: unknown) => {
      throw toParlanceError(error);
    });
  }

  /**
   * Makes a call that may be repeated without harm, until it is answered.
   *
   * @throws ParlanceError when it is refused, or not answered in 20 s
   */
  async repeated<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const deadline = performance.now() + repeatMs;
    const backoff = new Backoff({ baseMs: 250, capMs: 4_000 });
    while (true) {
      try {
        return await this.once(method, request);
      } catch (cause) {
        const error = toParlanceError(cause);
        const waitMs = backoff.next(error.retryAfterMs);
        if (!isTransient(error) || this.#closed.aborted || performance.now() + waitMs >= deadline)
          throw error;
        await sleep(waitMs, this.#closed);
      }
    }
  }

  async #attempt<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    token: string,
    deadlineMs: number,
  ): Promise<MessageShape<O>> {
    const header = { authorization: `Bearer ${token}` };
    const timeoutMs = Math.max(1, Math.min(attemptMs, deadlineMs));
    const checked = requestOf(method.input, request);
    const { message } = await this.#transport.unary(method, this.#closed, timeoutMs, header, checked);
    return message;
  }
}
