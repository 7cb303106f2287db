/** Headers that carry credentials. No replay needs them, so no record holds them. */
const CREDENTIALS = /^(?:authorization|proxy-authorization|cookie|(?:[\w-]+-)?api-key|[\w-]*token)$/i;

/** What goes into the record for a header that is sent. */
export function withoutCredentials<T>(name: string, value: T): T | string {
  return CREDENTIALS.test(name) ? "(withheld)" : value;
}
