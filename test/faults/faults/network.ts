import type { Fault } from "../fault.ts";
import { idleForgotten, resets } from "./network-breaks.ts";
import { cutAnywhere } from "./network-cut.ts";
import { cablePull, killClient, oneWay } from "./network-gone.ts";
import { addressChange, nginxInFront } from "./network-paths.ts";
import { latency, packetLoss, slowLink } from "./network-slow.ts";
import { reconnectStorm } from "./reconnect-storm.ts";

/** Faults of network. */
export const networkFaults: readonly Fault[] = [
  latency,
  slowLink,
  cablePull,
  oneWay,
  killClient,
  resets,
  packetLoss,
  idleForgotten,
  nginxInFront,
  reconnectStorm,
  addressChange,
  cutAnywhere,
];
