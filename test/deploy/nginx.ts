/** nginx as a process of its own, with the configuration that is given to users. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { exitOf } from "../support/serve-child.ts";
import { whyMissing } from "./files.ts";

/** Debian keeps it off the PATH of users. */
const command = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";

/** Why tests with nginx do not run here; undefined where they do. */
export const nginxMissing = whyMissing(command, ["-v"], "apt-get install nginx-light");

/** A running nginx. */
export interface Nginx {
  /** The ports for gRPC and for HTTP, both with TLS. */
  grpcPort: number;
  httpPort: number;
  /** What clients have to trust. */
  certificate: Certificate;
  close: () => Promise<void>;
}

/**
 * Starts nginx with `deploy/nginx/parlance.conf`, whose nodes, ports and
 * certificate are replaced, and likewise every directive of `directives`.
 *
 * @param nodes for each of the three nodes, its addresses
 * @param httpPath the path below which HTTP is found
 */
export async function startNginx(
  nodes: readonly { grpc: string; http: string }[],
  directives: Readonly<Record<string, string>> = {},
  httpPath = "/",
): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), "parlance-nginx-"));
  const certificate = makeCertificate();
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  let config = readFileSync("deploy/nginx/parlance.conf", "utf8");
  const replace = (pattern: RegExp, by: string) => {
    if (!pattern.test(config)) throw new Error(`parlance.conf has no ${pattern}`);
    config = config.replace(pattern, by);
  };
  for (const [i, { grpc, http }] of nodes.entries()) {
    replace(new RegExp(`parlance-${i + 1}:50051`), grpc);
    replace(new RegExp(`parlance-${i + 1}:8080`), http);
  }
  replace(/listen 8443 /, `listen 127.0.0.1:${grpcPort} `);
  replace(/listen 443 /, `listen 127.0.0.1:${httpPort} `);
  replace(/location \/ (?=\{\s+proxy_pass)/, `location ${httpPath} `);
  replace(/\/etc\/nginx\/certs\/tls\.crt/g, certificate.certFile);
  replace(/\/etc\/nginx\/certs\/tls\.key/g, certificate.keyFile);
  for (const [name, value] of Object.entries(directives)) {
    replace(new RegExp(`(?<=^ *${name} ).*(?=;$)`, "gm"), value);
  }
  writeFileSync(join(folder, "parlance.conf"), config);
  writeFileSync(join(folder, "nginx.conf"), mainConfig(folder));
  mkdirSync(join(folder, "temp"));

  const args = ["-p", folder, "-c", join(folder, "nginx.conf")];
  execFileSync(command, [...args, "-t", "-q"]);
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const exited = exitOf(child);
  await eventually(() => answers(grpcPort, child));
  return {
    grpcPort,
    httpPort,
    certificate,
    async close() {
      child.kill("SIGTERM");
      await exited;
      certificate.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a distribution's `nginx.conf` is around it. */
function mainConfig(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
${kinds.map((kind) => `  ${kind}_temp_path ${folder}/temp/${kind};`).join("\n")}
  include ${folder}/parlance.conf;
}
`;
}

/** Tells whether something takes connections at a port; throws when the process has ended meanwhile. */
function answers(port: number, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
  return new Promise((resolve) => {
    const socket = dial(port, "127.0.0.1");
    socket.on("connect", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", (hadError) => resolve(!hadError));
  });
}
