import { expect, test } from "vitest";
import { createDevVerifier } from "../../src/auth/dev.ts";
import { createJwtVerifier } from "../../src/auth/jwt.ts";
import { mintToken } from "../../src/auth/mint.ts";
import { ErrorReason } from "../../src/model/errors.ts";

const secret = "a secret of the tests that is long enough";

test("a development server believes any user id", async () => {
  const identity = await createDevVerifier().verify({ kind: "devUserId", userId: "alice" });
  expect(identity.userId).toBe("alice");
  expect(identity.expireTimeMs).toBeGreaterThan(Date.now());
  expect(identity.issueTimeMs).toBeGreaterThan(0);
});

test("a development server refuses what is no user id", async () => {
  await expect(createDevVerifier().verify({ kind: "devUserId", userId: " alice" })).rejects.toMatchObject({
    reason: ErrorReason.INVALID_REQUEST,
    details: { violations: [{ field: "dev_user_id" }] },
  });
});

test("a development server without a secret refuses tokens and says what to do", async () => {
  const token = await mintToken({ userId: "alice", secret, ttlSeconds: 60 });
  await expect(createDevVerifier().verify({ kind: "token", token })).rejects.toMatchObject({
    reason: ErrorReason.LOGIN_METHOD_DISABLED,
    message: expect.stringContaining("PARLANCE_JWT_SECRET"),
  });
});

test("a development server with a secret takes tokens too", async () => {
  const verifier = createDevVerifier(createJwtVerifier({ secret }));
  const token = await mintToken({ userId: "alice", secret, ttlSeconds: 60 });
  expect((await verifier.verify({ kind: "token", token })).userId).toBe("alice");
  await expect(verifier.verify({ kind: "token", token: "hello" })).rejects.toMatchObject({
    reason: ErrorReason.INVALID_TOKEN,
  });
});
