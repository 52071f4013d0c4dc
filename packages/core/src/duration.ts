const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `5m`, `1h30m`, `250ms`, `2d`, or a bare number of seconds, as milliseconds; nothing when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const plain = text.trim();
  if (/^\d+(\.\d+)?$/.test(plain)) return Number(plain) * 1000;
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(plain)) return undefined;
  let total = 0;
  for (const [, amount, unit] of plain.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
    total += Number(amount) * (unitsMs[unit ?? "s"] ?? 0);
  return total;
}

/** A duration of a checked definition, in milliseconds. @throws when it was not checked */
export function durationMs(text: string): number {
  const parsed = parseDuration(text);
  if (parsed === undefined) throw new Error(`an unchecked duration: "${text}"`);
  return parsed;
}
