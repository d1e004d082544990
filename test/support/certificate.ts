/** A certificate for servers on loopback. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A self-signed certificate for `localhost` and 127.0.0.1, and its key, as files. */
export interface Certificate {
  certFile: string;
  keyFile: string;
  /** PEM; clients have to trust it. */
  cert: Buffer;
  key: Buffer;
  /** Deletes the files. */
  remove: () => void;
}

/** Makes a certificate that is good for a day, with the `openssl` command. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "parlance-certificate-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost".split(
        " ",
      ),
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certFile, "-keyout", keyFile],
    ],
    { stdio: "pipe" },
  );
  return {
    certFile,
    keyFile,
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
