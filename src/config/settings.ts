/**
 * Every setting of the server, as a table. `config.ts` reads values by it,
 * `parlance serve --help` and `docs/settings.md` are made from it.
 */

import { z } from "zod";
import { parseNetworks } from "../net/networks.ts";
import { parseOrigins } from "./origins.ts";

/** One setting: what it is for and which values it takes. */
export interface Setting<T> {
  /** How a value is written on the command line and in the environment. */
  kind: "text" | "integer" | "flag";
  /** For people: what it does, in a sentence or two. */
  description: string;
  /** For people: which values it takes, as in "must be …". */
  allowed: string;
  /** The unit of a number; absent for plain numbers and other kinds. */
  unit?: "ms" | "s" | "bytes";
  /** The value when nothing sets it. */
  default: T;
  /** Whether its value must never be printed. */
  secret: boolean;
  /** Accepts the value or not. */
  schema: z.ZodType;
}

/** The longest time a Node timer takes, a little under 25 days. */
const maxTimerMs = 2_147_483_647;

function text<D extends string | undefined>(options: {
  default: D;
  description: string;
  allowed?: string;
  minBytes?: number;
  pattern?: RegExp;
  /** Accepts what a pattern cannot tell. */
  check?: (value: string) => boolean;
  secret?: boolean;
}): Setting<string | D> {
  const { minBytes = 1, pattern = /^/, check = () => true } = options;
  return {
    kind: "text",
    description: options.description,
    allowed: options.allowed ?? "text that is not empty",
    default: options.default,
    secret: options.secret ?? false,
    schema: z
      .string()
      .refine((value) => Buffer.byteLength(value) >= minBytes && pattern.test(value) && check(value)),
  };
}

function integer<D extends number | undefined>(options: {
  default: D;
  min: number;
  max: number;
  unit?: "ms" | "s" | "bytes";
  description: string;
}): Setting<number | D> {
  return {
    kind: "integer",
    description: options.description,
    allowed: `a whole number from ${group(options.min)} to ${group(options.max)}`,
    ...(options.unit && { unit: options.unit }),
    default: options.default,
    secret: false,
    schema: z.int().min(options.min).max(options.max),
  };
}

function choice<const V extends string>(options: {
  values: readonly V[];
  default: V;
  description: string;
}): Setting<V> {
  return {
    kind: "text",
    description: options.description,
    allowed: `one of ${options.values.join(", ")}`,
    default: options.default,
    secret: false,
    schema: z.enum(options.values),
  };
}

function flag<const D extends boolean | undefined>(options: {
  default: D;
  description: string;
}): Setting<boolean | D> {
  return {
    kind: "flag",
    description: options.description,
    allowed: "true or false",
    default: options.default,
    secret: false,
    schema: z.boolean(),
  };
}

function networks<D extends string | undefined>(options: {
  default: D;
  description: string;
}): Setting<string | D> {
  return {
    ...text(options),
    allowed: "networks and addresses such as 10.0.0.0/8,fd00::/8,192.0.2.1, or none",
    schema: z.string().refine((value) => parseNetworks(value) !== undefined),
  };
}

/** A limit per second of what one user does on one node. */
function rate(description: string, perSecond: number): Setting<number> {
  const more = `Ten times as many at once. ${refusedAbove}`;
  return integer({ default: perSecond, min: 0, max: 1_000_000, description: `${description} ${more}` });
}

/** A limit per minute of the same. */
function ratePerMinute(description: string, perMinute: number): Setting<number> {
  const more = `All of them at once, too. ${refusedAbove}`;
  return integer({ default: perMinute, min: 0, max: 10_000_000, description: `${description} ${more}` });
}

const refusedAbove = "More are refused with `RATE_LIMITED` and told when there is room. 0 sets no limit.";

/** Writes a number with commas between its thousands. */
function group(value: number): string {
  return value.toLocaleString("en-US");
}

/** Every setting, in the order in which they are shown. Names carry their unit. */
export const settings = {
  host: text({
    default: "127.0.0.1",
    description: "The address to listen on. With `auth` = `dev` only loopback addresses are taken.",
  }),
  port: integer({
    default: 50_051,
    min: 0,
    max: 65_535,
    description: "The port to listen on; 0 takes any free one.",
  }),
  http: flag({
    default: true,
    description:
      "Whether the server also speaks Connect, gRPC-Web and JSON over HTTP, on a port of its own: for browsers and `curl`. docs/http.md tells more.",
  }),
  httpPort: integer({
    default: 8_080,
    min: 0,
    max: 65_535,
    description:
      "The port for HTTP, on the same address and with the same certificate; 0 takes any free one.",
  }),
  httpBasePath: text({
    default: "/",
    allowed: "a path such as /chat, of letters, digits and - . _ ~ between its slashes",
    pattern: /^(\/|(\/(?!\.+(\/|$))[\w.~-]+)+\/?)$/,
    description:
      "The path below which the HTTP port is found, where a proxy hands it requests with their path as it was: page, calls, health and the OpenAPI document. They are answered without it too.",
  }),
  corsOrigins: text({
    default: undefined,
    allowed: "origins such as https://chat.example, capacitor://localhost or null, separated by commas, or *",
    check: (value) => parseOrigins(value) !== undefined,
    description:
      "The origins whose web pages may call over HTTP. Without it only pages from the server itself may. Those of apps in a web view (`capacitor://`, `ionic://`, `tauri://`, `app://`), of browsers' extensions, and `null`, as of pages in files, have to be named, too.",
  }),
  dataDir: text({
    default: "./data",
    description: "The folder that holds the SQLite file. It is made if need be.",
  }),
  databaseUrl: text({
    default: undefined,
    allowed:
      "a URL such as postgresql://user:password@host:5432/database, with @ / # ? in user and password percent-encoded (%40 %2F %23 %3F)",
    pattern: /^postgres(ql)?:\/\/([^@/?#]*@)?[^@/?#]*(\/[^@?#]*)?(\?[^@#]*)?$/,
    secret: true,
    description:
      "The PostgreSQL database that keeps everything, instead of a SQLite file. Several nodes may share it.",
  }),
  databasePoolSize: integer({
    default: 10,
    min: 4,
    max: 1_000,
    description: "The most connections this node keeps to the PostgreSQL database.",
  }),
  databaseSchema: text({
    default: "parlance",
    allowed: "a name of lower-case letters, digits and _ that does not begin with a digit or `pg_`",
    pattern: /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/,
    description: "The schema inside the PostgreSQL database that holds everything. It is made if need be.",
  }),
  databaseFailover: choice({
    values: ["new-epoch", "lossless"],
    default: "new-epoch",
    description:
      "What it means when a replica of the PostgreSQL database takes over: with `new-epoch` it may lack the last commits, so nodes start anew and clients fetch again what they know; `lossless` promises that it has everything, as with synchronous replication.",
  }),

  natsUrl: text({
    default: undefined,
    allowed:
      "servers such as nats://host:4222 or tls://user:password@host:4222, separated by commas, with @ / # ? , in user and password percent-encoded (%40 %2F %23 %3F %2C)",
    pattern: /^(,?(nats|tls):\/\/([^@/?#\s,]*@)?[^@/?#\s,]+\/?(?=,|$))+(?<!,)$/,
    secret: true,
    description:
      "The NATS servers that carry messages between nodes, all of one cluster. `tls://` goes on with TLS only; `nats://` takes it where the server has it. User and password may stand before the host. Needs `databaseUrl`, the same for all nodes. Without it this node is the only one.",
  }),
  natsUser: text({ default: undefined, description: "The user at NATS. Goes with `natsPassword`." }),
  natsPassword: text({ default: undefined, secret: true, description: "The password of `natsUser`." }),
  natsPasswordFile: text({
    default: undefined,
    description:
      "A file that holds the password, instead of `natsPassword`. One line break at its end is left out.",
  }),
  natsToken: text({
    default: undefined,
    secret: true,
    description: "The token for NATS servers that ask for one instead of a user.",
  }),
  natsCredsFile: text({
    default: undefined,
    description:
      "A file with a JWT and its key, as `nsc` makes it, for NATS servers that ask for one. Read for each connection.",
  }),
  natsTlsCaFile: text({
    default: undefined,
    description:
      "The authorities that certificates of NATS servers are checked against, PEM, instead of the system's. Read for each connection.",
  }),
  natsTlsCertFile: text({
    default: undefined,
    description:
      "The certificate to show to NATS servers, PEM. Goes with `natsTlsKeyFile`. Read for each connection.",
  }),
  natsTlsKeyFile: text({ default: undefined, description: "The private key of `natsTlsCertFile`, PEM." }),
  natsPrefix: text({
    default: "parlance",
    allowed: "words of A-Z, a-z, 0-9, _ and -, separated by dots",
    pattern: /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
    description:
      "What all NATS subjects of this service begin with; a node needs to publish and subscribe to `PREFIX.>`. Services that share a NATS account need different ones.",
  }),

  node: text({
    default: undefined,
    pattern: /^(?=.{1,128}$)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/,
    allowed: "1 to 128 letters, digits, dots, hyphens and underscores, the first and last a letter or digit",
    description:
      "The name of this node, unique among the nodes. By default the name of the host; workers add a hyphen and their number.",
  }),
  workers: text({
    default: "1",
    pattern: /^(auto|[1-9]\d{0,2})$/,
    allowed: "a whole number from 1 to 999, or auto for one per core",
    description:
      "How many processes serve the ports, each a node of its own. More than one needs `databaseUrl` and `natsUrl`. Limits are those of each process.",
  }),

  adminPort: integer({
    default: undefined,
    min: 0,
    max: 65_535,
    description:
      "The port of `AdminService`, for operators: `parlance admin` calls it. 0 takes any free one. Without it the service is off.",
  }),
  adminHost: text({
    default: "127.0.0.1",
    description: "The address of that port. Any but a loopback address needs `adminToken`.",
  }),
  adminToken: text({
    default: undefined,
    minBytes: 16,
    allowed: "text of at least 16 bytes",
    secret: true,
    description: "The token that calls of `AdminService` have to bring.",
  }),
  adminTokenFile: text({
    default: undefined,
    description:
      "A file that holds that token, instead of `adminToken`. One line break at its end is left out.",
  }),

  auth: choice({
    values: ["dev", "jwt"],
    default: "dev",
    description:
      "How users prove who they are: `dev` lets anyone log in under any user id, `jwt` asks for a token signed with `jwtSecret`.",
  }),
  jwtSecret: text({
    default: undefined,
    minBytes: 32,
    allowed: "text of at least 32 bytes",
    secret: true,
    description:
      "The secret that tokens are signed with (HS256). With `auth` = `dev` it makes tokens work too.",
  }),
  jwtSecretFile: text({
    default: undefined,
    description:
      "A file that holds the secret, instead of `jwtSecret`. One line break at its end is left out.",
  }),
  jwtIssuer: text({ default: undefined, description: "The `iss` that tokens must have." }),
  jwtAudience: text({
    default: undefined,
    description:
      "The `aud` that tokens must have. Without it, tokens that are meant for an audience are refused.",
  }),
  jwtMaxAgeSeconds: integer({
    default: undefined,
    min: 1,
    max: 315_360_000,
    unit: "s",
    description:
      "The longest time since a token was issued (`iat`), whatever its `exp` says. Sessions and streams made from a token end then, too, and tokens without `iat` are refused.",
  }),
  sessionTtlSeconds: integer({
    default: 2_592_000,
    min: 1,
    max: 315_360_000,
    unit: "s",
    description:
      "How long the session token of a `Login` is valid. With a host token it ends when that token ends, if that is earlier.",
  }),

  tlsCertFile: text({
    default: undefined,
    description: "The server's certificate chain, PEM. Goes with `tlsKeyFile`.",
  }),
  tlsKeyFile: text({ default: undefined, description: "The private key of `tlsCertFile`, PEM." }),

  allowInsecure: text({
    default: undefined,
    allowed: "plain-text, weak-secret, or both with a comma between them",
    pattern: /^(plain-text|weak-secret)(,(plain-text|weak-secret))*$/,
    description:
      "What a server that others can reach is allowed: `plain-text`, to listen without a certificate, as behind a proxy that has one; `weak-secret`, a `jwtSecret` or `adminToken` that can be guessed. Without it such a server does not start.",
  }),

  maxContentBytes: integer({
    default: 65_536,
    min: 1_024,
    max: 1_048_576,
    unit: "bytes",
    description: "The largest encoded `Content` of a message.",
  }),
  maxAnswerBytes: integer({
    default: 1_048_576,
    min: 524_288,
    max: 4_194_304,
    unit: "bytes",
    description:
      "The largest answer, as Protobuf, to a call that is no stream: pages of lists end early. One message alone may be larger.",
  }),
  chosenGroupIds: flag({
    default: true,
    description:
      "Whether users may choose the ids of groups they create. Who chooses one that is taken learns that it is; with `off` the server makes ids that cannot be guessed, and only a host that embeds it chooses.",
  }),
  presenceVisibility: choice({
    values: ["shared", "everyone", "nobody"],
    default: "shared",
    description:
      "Whose presence users may see: of those they share a conversation with, a group or a direct one that has begun; `everyone`'s; or `nobody`'s but their own. Who may not be seen looks like one who never came.",
  }),
  maxGroupMembers: integer({
    default: 10_000,
    min: 2,
    max: 100_000,
    description: "The most members a group may have.",
  }),
  maxInFlight: integer({
    default: 256,
    min: 1,
    max: 10_000,
    description:
      "The most requests of one stream that wait for an answer. The server reads no more of them until then.",
  }),
  maxUnreadBytes: integer({
    default: 33_554_432,
    min: 65_536,
    max: 1_073_741_824,
    description:
      "How many bytes of answers a user, over all connections, and a connection, for all users, may have asked for and not read. Further reads are refused with `UNREAD_ANSWERS` until there are less.",
  }),
  maxSessions: integer({
    default: 50_000,
    min: 1,
    max: 1_000_000,
    description: "The most sessions open at a time. Further ones are refused with `TOO_MANY_SESSIONS`.",
  }),
  maxNewSessionsPerSecond: integer({
    default: 500,
    min: 0,
    max: 1_000_000,
    description:
      "The most sessions opened per second, and at once. Further ones are refused with `TOO_MANY_NEW_SESSIONS` and told when to come again, so that all clients coming back together do not bring the server down. 0 sets no limit.",
  }),
  pingIntervalMs: integer({
    default: 20_000,
    min: 1_000,
    max: 600_000,
    unit: "ms",
    description: "How often a client with nothing to say should send a `ping`; told to clients in `Limits`.",
  }),
  outboxMaxBytes: integer({
    default: 262_144,
    min: 65_536,
    max: 16_777_216,
    unit: "bytes",
    description:
      "How much may wait in memory for one session. A reader slower than that is served from the log instead and loses nothing.",
  }),
  replayLimit: integer({
    default: 1_000,
    min: 0,
    max: 10_000,
    description:
      "How many missed events a new stream replays before it answers `behind`, where `Open.replay_limit` is not set.",
  }),

  trustedProxies: networks({
    default: undefined,
    description:
      "The proxies whose `x-forwarded-for` or `forwarded` tells where a caller is, for limits per address. From others these headers are not looked at.",
  }),
  exemptAddresses: networks({
    default: "127.0.0.0/8,::1",
    description:
      "Addresses that limits per address do not concern. By default loopback, where everyone seems to be who comes through a proxy on this machine; name such a proxy in `trustedProxies` to have its clients told apart. A gateway of your own may be added; `none` exempts nobody.",
  }),
  maxLoginsPerSecond: rate("How many logins this node takes per second, of all users together.", 1_000),
  maxLoginsPerAddressPerMinute: ratePerMinute(
    "How many logins may come from one address per minute. Here and below a /64 of IPv6 counts as one address.",
    6_000,
  ),
  maxFailedLoginsPerAddressPerMinute: ratePerMinute(
    "How many logins from one address may fail per minute before further ones are refused unseen. Tokens that have expired do not count.",
    3_000,
  ),

  maxConnections: integer({
    default: undefined,
    min: 1,
    max: 2_000_000,
    description:
      "The most connections at a time, of both ports together. Further ones are closed at once. By default 1,000 more than `maxSessions`.",
  }),
  maxConnectionsPerAddress: integer({
    default: 2_000,
    min: 0,
    max: 2_000_000,
    description:
      "The most connections at a time from one address, of both ports together. Those of `trustedProxies` and `exemptAddresses` are not counted. 0 sets no limit.",
  }),
  maxStreamsPerUser: integer({
    default: 100,
    min: 0,
    max: 1_000_000,
    description:
      "The most streams a user may have open on this node, one for each device; told to clients in `Limits`. Further ones are refused with `QUOTA_EXCEEDED`. 0 sets no limit.",
  }),
  maxSessionsPerUser: integer({
    default: 1_000,
    min: 0,
    max: 1_000_000,
    description:
      "The most session tokens a user has. A login beyond drops the one made first; a node that has it in memory may take it a while longer. 0 sets no limit.",
  }),
  maxDevicesPerUser: integer({
    default: 1_000,
    min: 0,
    max: 1_000_000,
    description:
      "The most devices a user has. A new one beyond takes the place of the one not used for longest, which is a new device when it comes back. 0 sets no limit.",
  }),
  maxGroupsPerUser: integer({
    default: 5_000,
    min: 0,
    max: 1_000_000,
    description:
      "The most groups a user may be in; told to clients in `Limits`. Who would make it more is refused with `QUOTA_EXCEEDED`. 0 sets no limit.",
  }),
  maxGroupsOwnedPerUser: integer({
    default: 1_000,
    min: 0,
    max: 1_000_000,
    description:
      "The most groups a user may own: those they created and those handed to them. Disbanded ones do not count. 0 sets no limit.",
  }),
  maxStoredBytesPerUser: integer({
    default: 10_737_418_240,
    min: 0,
    max: 1_000_000_000_000_000,
    unit: "bytes",
    description:
      "The most bytes of messages that a user may store, give or take what is sent within a second. Further ones are refused with `QUOTA_EXCEEDED`. Counted is what users send while there is a limit. 0 sets no limit.",
  }),
  maxSendsPerSecond: rate(
    "How many messages a user may send per second, to users and groups, over all their devices.",
    500,
  ),
  maxReadsPerSecond: rate(
    "How often a user may read messages, conversations, groups or members per second; told to clients in `Limits`, as is `maxSendsPerSecond`.",
    200,
  ),
  maxChangesPerSecond: rate("How often a user may change groups, mark as read or log out per second.", 50),
  maxTypingPerSecond: rate("How often a user may tell per second that they type or stopped.", 10),
  maxPresenceReadsPerSecond: rate(
    "Of how many users a user may ask for or watch presence per second.",
    1_000,
  ),
  maxNewStreamsPerSecond: rate(
    "How many streams a user may open per second, over all their devices, so that nobody takes all that `maxNewSessionsPerSecond` lets in.",
    20,
  ),
  maxNewDirectsPerMinute: ratePerMinute(
    "How many direct conversations a user may begin per minute. Messages in conversations that are there are not concerned.",
    600,
  ),
  maxNewGroupsPerMinute: ratePerMinute("How many groups a user may create per minute.", 300),
  maxNewMembersPerMinute: ratePerMinute(
    "How many users a user may add to groups per minute, those of new groups included.",
    20_000,
  ),

  firstRequestTimeoutMs: integer({
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: "ms",
    description: "How long a stream may stay without its first request.",
  }),
  maxUnaryDeadlineMs: integer({
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: "ms",
    description: "The longest a unary call may take, whatever deadline its caller sets.",
  }),
  maxConcurrentStreams: integer({
    default: 100,
    min: 1,
    max: 100_000,
    description: "The most calls open at a time on one connection.",
  }),
  maxRequestBytes: integer({
    default: 131_072,
    min: 32_768,
    max: 16_777_216,
    unit: "bytes",
    description: "The largest encoded request. At least 32,768 more than `maxContentBytes`.",
  }),
  keepaliveTimeMs: integer({
    default: 8_000,
    min: 100,
    max: 7_200_000,
    unit: "ms",
    description:
      "How long a client may be silent after it was sent something, before the server asks (HTTP/2 PING) whether it still lives. With `keepaliveTimeoutMs` and 2 seconds it makes the time until a client that hangs while it is written to shows in presence: 14 seconds by default.",
  }),
  keepaliveIdleTimeMs: integer({
    default: 50_000,
    min: 100,
    max: 7_200_000,
    unit: "ms",
    description:
      "How often the server asks clients to which it sends nothing. A pulled cable shows within 14 seconds whatever this is, as the operating system looks after idle connections; it is for clients that hang, and for proxies, many of which end a connection after 60 seconds of silence.",
  }),
  keepaliveTimeoutMs: integer({
    default: 4_000,
    min: 100,
    max: 600_000,
    unit: "ms",
    description:
      "How long the answer to that may take before the connection is given up. A client that is held up for less, such as by a busy event loop, keeps its connection.",
  }),
  maxConnectionIdleMs: integer({
    default: 300_000,
    min: 1_000,
    max: maxTimerMs,
    unit: "ms",
    description: "How long a connection without any call is kept.",
  }),
  maxConnectionAgeMs: integer({
    default: 3_600_000,
    min: 1_000,
    max: maxTimerMs,
    unit: "ms",
    description: "How long a connection is kept before its client is asked to make a new one.",
  }),
  maxConnectionAgeGraceMs: integer({
    default: 60_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    description: "How long the calls of such a connection may go on.",
  }),
  sessionMaxAgeMs: integer({
    default: 3_000_000,
    min: 500,
    max: maxTimerMs,
    unit: "ms",
    description:
      "How long a stream lives before it is asked to reconnect with a `drain` event. Lower than `maxConnectionAgeMs`, so that clients hear of it first.",
  }),
  drainGraceMs: integer({
    default: 10_000,
    min: 0,
    max: 600_000,
    unit: "ms",
    description: "How long a stopping server gives its streams and calls to end.",
  }),
  drainSessionsPerSecond: integer({
    default: 200,
    min: 0,
    max: 1_000_000,
    description:
      "The most sessions that a draining server sends away per second, so that other nodes are not run over; 0 sends all away at once. A server that is stopped sends more where half of `drainGraceMs` would not suffice for all.",
  }),

  reflection: flag({
    default: undefined,
    description:
      "Whether server reflection is on, so that `grpcurl` and `buf curl` need no files. Anyone may ask it, so without this setting it is on with `auth` = `dev` only.",
  }),
  logCalls: choice({
    values: ["all", "failed", "none"],
    default: "failed",
    description:
      "Which calls get a line in the log, at the level `info`: `failed` leaves out those that went well and those that their caller gave up. A call that fails by a fault of the server is logged always, at the level `error`.",
  }),
  logLevel: choice({
    values: ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    default: "info",
    description:
      "The least important log lines to write. They go to the standard error output, one JSON object a line.",
  }),
} satisfies Record<string, Setting<unknown>>;

/** The name of a setting. */
export type SettingName = keyof typeof settings;

/** Returns the environment variable of a setting: `PARLANCE_DATA_DIR` for `dataDir`. */
export function variableOf(name: string): string {
  return `PARLANCE_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** Returns the command-line option of a setting: `--data-dir` for `dataDir`. */
export function optionOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A value for every setting. Names, units and defaults are those of `settings`. */
export type Config = {
  -readonly [Name in SettingName]: (typeof settings)[Name] extends Setting<infer T> ? T : never;
};
