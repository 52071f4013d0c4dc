/** Shorter values are not masked: they would blank out ordinary words. */
const minimumLength = 4;

const base64 = (text: string): string => {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
};

/** The forms in which a secret shows up in a log: as it is, JSON-escaped, URL-encoded, base64. */
function formsOf(secret: string): string[] {
  const encoded = base64(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    encoded,
    encoded.replace(/=+$/, ""),
    encoded.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  ].filter((form) => form.length >= minimumLength);
}

/**
 * A function that replaces every secret in a text by `***`, in every form it is likely to be printed.
 * Values shorter than four characters are left alone. Lines of a multi-line secret are masked one by one, too.
 */
export function redactor(secrets: Iterable<string>): (text: string) => string {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < minimumLength) continue;
    for (const form of formsOf(secret)) forms.add(form);
    for (const line of secret.split(/\r?\n/)) if (line.length >= 8) forms.add(line);
  }
  if (forms.size === 0) return (text) => text;
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g");
  return (text) => text.replace(pattern, "***");
}
