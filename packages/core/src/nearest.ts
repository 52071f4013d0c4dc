import { distance } from "fastest-levenshtein";

/** The candidate closest to `name`, when it is close enough to be what was meant. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3));
  let best: { candidate: string; edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits <= limit && (!best || edits < best.edits)) best = { candidate, edits };
  }
  return best?.candidate;
}

/** A hint that names the nearest valid name, or all of them when none is near. */
export function suggest(name: string, candidates: readonly string[], what: string): string {
  const near = nearest(name, candidates);
  if (near) return `did you mean "${near}"?`;
  return candidates.length > 0 ? `${what}: ${candidates.join(", ")}` : `there are no ${what} here`;
}
