import { parseQuantity } from "@fuseml/core/run/quantity";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { HostConfig } from "dockerode";

/** Names of extended resources that mean a graphics processor. */
const gpuResource = /^([a-z0-9.-]+)\/gpu$/;

type Resources = NonNullable<StepSpec["resources"]>;

const amount = (of: Resources["limits"], name: string): number | undefined => {
  const text = of?.[name];
  return text === undefined ? undefined : parseQuantity(text);
};

/** What a step may use at most, and what it has first claim to, in the engine's words. Shares are 1024 a processor. */
export function resourceOptions(resources: StepSpec["resources"]): Partial<HostConfig> {
  const { limits, requests } = resources ?? {};
  const processors = amount(limits, "cpu");
  const memory = amount(limits, "memory");
  const shares = amount(requests, "cpu");
  const reserved = amount(requests, "memory");
  const gpus = Object.entries({ ...requests, ...limits }).find(([name]) => gpuResource.test(name));
  const count = gpus && Number(gpus[1]);
  return {
    ...(processors === undefined ? {} : { NanoCpus: Math.round(processors * 1e9) }),
    // as much with swap as without: a limit that swaps instead is none
    ...(memory === undefined ? {} : { Memory: Math.round(memory), MemorySwap: Math.round(memory) }),
    ...(shares === undefined ? {} : { CpuShares: Math.max(2, Math.round(shares * 1024)) }),
    ...(reserved === undefined ? {} : { MemoryReservation: Math.round(reserved) }),
    ...(gpus && count
      ? {
          DeviceRequests: [
            { Driver: gpuResource.exec(gpus[0])?.[1]?.split(".")[0] ?? "", Count: count, Capabilities: [["gpu"]] },
          ],
        }
      : {}),
  };
}

/** Why a machine of this size can never run the step; nothing when it can. */
export function tooLarge(
  resources: StepSpec["resources"],
  machine: { readonly processors: number; readonly memoryBytes: number },
): string | undefined {
  for (const amounts of [resources?.requests, resources?.limits]) {
    for (const [name, text] of Object.entries(amounts ?? {}))
      if (parseQuantity(text) === undefined) return `"${text}" is not an amount of ${name}`;
  }
  const processors = amount(resources?.requests, "cpu") ?? 0;
  const memory = amount(resources?.requests, "memory") ?? 0;
  if (processors > machine.processors)
    return `it requests ${processors} processors, and there are ${machine.processors}`;
  if (machine.memoryBytes > 0 && memory > machine.memoryBytes)
    return `it requests ${gib(memory)} of memory, and there are ${gib(machine.memoryBytes)}`;
  return undefined;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
