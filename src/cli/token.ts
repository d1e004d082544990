import { defineCommand } from "citty";
import { isUserId, userIdRule } from "../../wire/user-id.ts";
import { mintToken } from "../auth/mint.ts";
import { loadSettings, settings } from "../config/config.ts";
import { parseDuration } from "./duration.ts";
import { fail, failUsage, warnOfVisibleSecrets } from "./errors.ts";

/** `parlance token`: prints a token for development, and nothing else. */
export const tokenCommand = defineCommand({
  meta: { name: "token", description: "Make a signed token for a user, for development." },
  args: {
    user: { type: "string", required: true, valueHint: "id", description: "The user the token is for." },
    ttl: {
      type: "string",
      default: "1h",
      valueHint: "time",
      description: "How long it is valid: 90s, 15m, 1h, 30d.",
    },
    secret: {
      type: "string",
      valueHint: "text",
      description:
        "The secret to sign with. Better kept in PARLANCE_JWT_SECRET: other users can see command lines.",
    },
    config: { type: "string", valueHint: "file", description: "A JSON file with settings, as for serve." },
  },
  async run({ args }) {
    const ttlSeconds = parseDuration(args.ttl);
    if (ttlSeconds === undefined) failUsage("--ttl is no duration", "write it as 90s, 15m, 1h or 30d");
    if (!isUserId(args.user)) failUsage("--user is no user id", `it must be ${userIdRule}`);
    if (args.secret !== undefined && !settings.jwtSecret.schema.safeParse(args.secret).success) {
      failUsage("--secret is too short", `it must be ${settings.jwtSecret.allowed}`);
    }
    const names = ["jwtSecret", "jwtIssuer", "jwtAudience"] as const;
    const options = { jwtSecret: args.secret };
    warnOfVisibleSecrets(options, { "--jwt-secret": "--secret" });
    const config = loadSettings(names, { options, file: args.config });
    const secret = config.jwtSecret;
    if (secret === undefined) {
      fail(
        "there is no secret to sign with",
        `set PARLANCE_JWT_SECRET to ${settings.jwtSecret.allowed}, as the server has it`,
      );
    }
    const token = await mintToken({
      userId: args.user,
      ttlSeconds,
      secret,
      issuer: config.jwtIssuer,
      audience: config.jwtAudience,
    });
    process.stdout.write(`${token}\n`);
  },
});
