import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";

/** How to reach an S3 store. */
export type S3Access = {
  readonly endpoint?: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

/** `s3://bucket/a/b` as bucket and prefix with a slash at its end. @throws on anything else */
export function parseS3(uri: string): { bucket: string; prefix: string } {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(uri);
  if (!match?.[1] || !match[2]) throw new Error(`"${uri}" is not an s3://bucket/path address`);
  return { bucket: match[1], prefix: `${match[2]}/` };
}

/** Where the contents with a digest are, or would be. */
export const modelDirectory = (root: string, digest: string): string =>
  join(root, digest.replace("sha256:", "").slice(0, 32));

/**
 * Copies a model from object storage into `<root>/<digest>`, once: the digest is of the objects' names and ETags, so the
 * same contents are the same directory. An interrupted copy leaves nothing that could be taken for a model.
 */
export async function fetchModel(
  uri: string,
  access: S3Access | undefined,
  root: string,
): Promise<{ directory: string; digest: string }> {
  const { bucket, prefix } = parseS3(uri);
  const client = clientOf(access);
  try {
    const { objects, digest } = await list(client, uri);
    const directory = modelDirectory(root, digest);
    if (existsSync(directory)) return { directory, digest };
    const partial = `${directory}.${process.pid}.tmp`;
    rmSync(partial, { recursive: true, force: true });
    try {
      for (const { key } of objects) {
        if (key.split("/").includes("..")) throw new Error(`an object of ${uri} has an unsafe name: ${key}`);
        const target = join(partial, key);
        mkdirSync(dirname(target), { recursive: true });
        const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: prefix + key }));
        await pipeline(object.Body as Readable, createWriteStream(target));
      }
      renameSync(partial, directory);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
    return { directory, digest };
  } finally {
    client.destroy();
  }
}

/** What is at an S3 address, by names and ETags: the same contents have the same digest. @throws when nothing is there */
export async function listModel(uri: string, access: S3Access | undefined): Promise<{ digest: string }> {
  const client = clientOf(access);
  try {
    const { digest } = await list(client, uri);
    return { digest };
  } finally {
    client.destroy();
  }
}

const clientOf = (access: S3Access | undefined): S3Client =>
  new S3Client({
    region: access?.region ?? "us-east-1",
    forcePathStyle: true,
    ...(access?.endpoint ? { endpoint: access.endpoint } : {}),
    ...(access ? { credentials: { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey } } : {}),
  });

async function list(
  client: S3Client,
  uri: string,
): Promise<{ objects: { key: string; etag: string }[]; digest: string }> {
  const { bucket, prefix } = parseS3(uri);
  const objects: { key: string; etag: string }[] = [];
  for (let token: string | undefined; ; ) {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token ? { ContinuationToken: token } : {}) }),
    );
    for (const object of page.Contents ?? [])
      if (object.Key) objects.push({ key: object.Key.slice(prefix.length), etag: object.ETag ?? "" });
    token = page.NextContinuationToken;
    if (!token) break;
  }
  if (objects.length === 0) throw new Error(`there is nothing at ${uri}`);
  const names = JSON.stringify(objects.sort((a, b) => (a.key < b.key ? -1 : 1)));
  return { objects, digest: `sha256:${createHash("sha256").update(names).digest("hex")}` };
}
