import type { Peer } from "./peer.ts";
import { centrifugo, centrifugoPostgres } from "./servers/centrifugo.ts";
import { ejabberd, ejabberdArchive } from "./servers/ejabberd.ts";
import { mosquittoQos0, mosquittoQos1 } from "./servers/mosquitto.ts";
import { natsCore, natsJetStream } from "./servers/nats.ts";
import { socketIo } from "./servers/socket-io.ts";

/** All peers in all their modes, in the order of the table. */
export const peers: readonly Peer[] = [
  ejabberd,
  ejabberdArchive,
  mosquittoQos0,
  mosquittoQos1,
  natsCore,
  natsJetStream,
  centrifugo,
  centrifugoPostgres,
  socketIo,
];

/** A peer that is not measured, and why. */
export interface AbsentPeer {
  name: string;
  durable: boolean;
  reason: string;
}

/** Peers that belong here and could not be had. */
export const absentPeers: readonly AbsentPeer[] = [
  {
    name: "tinode",
    durable: true,
    reason:
      "its Go module, github.com/tinode/chat, was not to be had from the module proxy (403, not available; asked on 2026-11-25), and Debian and npm have no package of its server",
  },
];
