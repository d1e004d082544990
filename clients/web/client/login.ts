import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import {
  ChatService,
  type LoginResponse,
  LoginResponseSchema,
} from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { Platform } from "../../../gen/parlance/chat/v1/device_pb.js";
import { requestOf } from "../../typescript/arguments.ts";
import { ParlanceError, Status } from "../../typescript/errors.ts";
import { type Credentials, Login } from "../../typescript/login.ts";
import { tab } from "../state/kept.ts";
import { toParlanceError } from "./errors.ts";

const sessionKey = "parlance.session";
const deviceKey = "parlance.device";

interface SavedSession {
  /** Set where the server lets anyone be anybody; a host's token is not kept. */
  devUserId?: string;
  /** The `LoginResponse`, in JSON. */
  answer: string;
}

/**
 * Logs in and keeps the session for this tab, so that it survives a reload and
 * two tabs can be two users.
 *
 * @throws ParlanceError when the user may not in
 */
export async function logIn(transport: Transport, credentials: Credentials): Promise<Login> {
  const login = loginWith(transport, credentials);
  await login.token();
  return login;
}

/** Returns the session that this tab had before a reload, if there was one. */
export function restoreLogin(transport: Transport): Login | undefined {
  const saved = tab.get(sessionKey);
  if (saved === null) return undefined;
  try {
    const { devUserId, answer } = JSON.parse(saved) as SavedSession;
    const credentials = devUserId === undefined ? { getToken: askForToken } : { devUserId };
    return loginWith(transport, credentials, fromJsonString(LoginResponseSchema, answer));
  } catch {
    forgetLogin();
    return undefined;
  }
}

/** Forgets the session of this tab. */
export function forgetLogin(): void {
  tab.remove(sessionKey);
}

function loginWith(transport: Transport, credentials: Credentials, current?: LoginResponse): Login {
  const device = { deviceId: deviceId(), platform: Platform.WEB };
  return new Login(
    credentials,
    device,
    async (init) => {
      const request = requestOf(ChatService.method.login.input, init);
      const { message } = await transport
        .unary(ChatService.method.login, undefined, 10_000, undefined, request)
        .catch((error: unknown) => {
          throw toParlanceError(error);
        });
      save(credentials, message);
      return message;
    },
    current,
  );
}

function save(credentials: Credentials, response: LoginResponse): void {
  const saved: SavedSession = {
    ...("devUserId" in credentials ? { devUserId: credentials.devUserId } : {}),
    answer: toJsonString(LoginResponseSchema, create(LoginResponseSchema, response)),
  };
  tab.set(sessionKey, JSON.stringify(saved));
}

/** The server keeps a cursor for each tab, by this name. */
function deviceId(): string {
  const known = tab.get(deviceKey);
  if (known !== null) return known;
  const made = `web-${uuidv7()}`;
  tab.set(deviceKey, made);
  return made;
}

function askForToken(): never {
  throw new ParlanceError(Status.UNAUTHENTICATED, "the session has ended");
}
