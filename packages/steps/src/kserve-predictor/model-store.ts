import { CopyObjectCommand, GetObjectCommand, ListObjectsV2Command, NoSuchKey, S3Client } from "@aws-sdk/client-s3";
import { StepError } from "../step/context.ts";

/** A model in an S3 store. Contents are read only as far as they must be; copies are made by the store itself. */
export class ModelStore {
  private readonly client: S3Client;
  private readonly bucket: string;
  private readonly prefix: string;
  readonly url: string;

  constructor(url: string, env: NodeJS.ProcessEnv) {
    this.url = url;
    const match = /^s3:\/\/([^/]+)\/(.+)$/.exec(url);
    if (!match?.[1] || !match[2]) throw new StepError(`"${url}" is not an s3://bucket/path address`);
    [, this.bucket, this.prefix] = match as unknown as [string, string, string];
    this.client = new S3Client({
      region: env.AWS_DEFAULT_REGION ?? env.AWS_REGION ?? "us-east-1",
      ...(env.MLFLOW_S3_ENDPOINT_URL ? { endpoint: env.MLFLOW_S3_ENDPOINT_URL, forcePathStyle: true } : {}),
    });
  }

  /** The text of a file. @throws StepError when it is not there, or the store cannot be reached */
  async read(path: string): Promise<string> {
    try {
      const object = await this.client.send(
        new GetObjectCommand({ Bucket: this.bucket, Key: `${this.prefix}/${path}` }),
      );
      return (await object.Body?.transformToString()) ?? "";
    } catch (error) {
      if (error instanceof NoSuchKey)
        throw new StepError(
          `there is no ${path} at ${this.url}`,
          "the model must be saved by MLflow (mlflow.<flavor>.log_model)",
        );
      throw this.told(error);
    }
  }

  /** Copies files (or, with a slash at the end, whole directories) into a sub-directory of the model. @returns its address */
  async convert(into: string, copies: readonly { readonly from: string; readonly to: string }[]): Promise<string> {
    for (const { from, to } of copies) {
      const keys = from.endsWith("/") ? await this.list(from) : [from];
      if (keys.length === 0) throw new StepError(`there is nothing at ${this.url}/${from}`);
      for (const key of keys) {
        const target = from.endsWith("/") ? `${to}${key.slice(from.length)}` : to;
        const source = `${this.bucket}/${this.prefix}/${key}`.split("/").map(encodeURIComponent).join("/");
        try {
          await this.client.send(
            new CopyObjectCommand({ Bucket: this.bucket, Key: `${this.prefix}/${into}/${target}`, CopySource: source }),
          );
        } catch (error) {
          throw this.told(error);
        }
      }
    }
    return `${this.url}/${into}`;
  }

  private async list(directory: string): Promise<string[]> {
    const keys: string[] = [];
    for (let token: string | undefined; ; ) {
      const page = await this.client.send(
        new ListObjectsV2Command({
          Bucket: this.bucket,
          Prefix: `${this.prefix}/${directory}`,
          ...(token ? { ContinuationToken: token } : {}),
        }),
      );
      for (const { Key } of page.Contents ?? []) if (Key) keys.push(Key.slice(this.prefix.length + 1));
      token = page.NextContinuationToken;
      if (!token) return keys;
    }
  }

  private told(error: unknown): StepError {
    const { name, message } = error as Error;
    return new StepError(
      `the artifact store refused or did not answer for ${this.url}: ${name}: ${message}`,
      "check the s3 extension: fuseml extension get; its endpoint and its credentials",
    );
  }
}
