// A smaller markdownview module in AssemblyScript: for each MarkdownView it wants the ConfigMap with its texts, and
// nothing else. What it does with JSON is as small: it copies the texts as they are written in the request.

@external("wasmloop", "request_len")
declare function requestLen(): u32;

@external("wasmloop", "request_read")
declare function requestRead(to: usize, offset: u32, length: u32): u32;

@external("wasmloop", "response_write")
declare function responseWrite(from: usize, length: u32): void;

@external("wasmloop", "error")
declare function reportError(from: usize, length: u32): void;

export function wasmloop_abi_version(): i32 {
  return 1;
}

// A place in the request that is looked at.
class Cursor {
  constructor(public text: Uint8Array, public at: i32 = 0) {}

  peek(): u8 {
    while (this.at < this.text.length && this.text[this.at] <= 0x20) this.at++;
    return this.at < this.text.length ? this.text[this.at] : 0;
  }

  // Passes over a value and returns it as it is written.
  skip(): Uint8Array {
    const first = this.peek();
    const start = this.at;
    if (first == 0x22) {
      this.skipString();
    } else if (first == 0x7b || first == 0x5b) {
      this.skipNested();
    } else {
      while (this.at < this.text.length && !isEnd(this.text[this.at])) this.at++;
    }
    return this.text.subarray(start, this.at);
  }

  skipString(): void {
    for (this.at++; this.at < this.text.length && this.text[this.at] != 0x22; this.at++) {
      if (this.text[this.at] == 0x5c) this.at++;
    }
    this.at++;
  }

  skipNested(): void {
    let depth = 0;
    do {
      const c = this.peek();
      if (c == 0) return;
      if (c == 0x22) {
        this.skipString();
        continue;
      }
      if (c == 0x7b || c == 0x5b) depth++;
      if (c == 0x7d || c == 0x5d) depth--;
      this.at++;
    } while (depth > 0);
  }
}

function isEnd(c: u8): bool {
  return c <= 0x20 || c == 0x2c || c == 0x7d || c == 0x5d;
}

// Returns a member of an object as it is written, empty if there is none.
function member(object: Uint8Array, name: string): Uint8Array {
  const wanted = Uint8Array.wrap(String.UTF8.encode('"' + name + '"'));
  const cursor = new Cursor(object);
  if (cursor.peek() != 0x7b) return new Uint8Array(0);
  cursor.at++;
  while (cursor.peek() == 0x22) {
    const key = cursor.skip();
    if (cursor.peek() != 0x3a) break;
    cursor.at++;
    const value = cursor.skip();
    if (equal(key, wanted)) return value;
    if (cursor.peek() != 0x2c) break;
    cursor.at++;
  }
  return new Uint8Array(0);
}

function equal(a: Uint8Array, b: Uint8Array): bool {
  return a.length == b.length && memory.compare(a.dataStart, b.dataStart, a.length) == 0;
}

function text(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

export function reconcile(): i32 {
  const request = new Uint8Array(requestLen());
  requestRead(request.dataStart, 0, request.length);
  const object = member(request, "object");
  const name = text(member(member(object, "metadata"), "name"));
  const markdowns = text(member(member(object, "spec"), "markdowns"));
  if (name.length < 2 || markdowns.length == 0) {
    const message = String.UTF8.encode("terminal: the object has no name or no spec.markdowns");
    reportError(changetype<usize>(message), message.byteLength);
    return 1;
  }
  const quoted = '"markdowns-' + name.substring(1);
  const response = String.UTF8.encode(
    '{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":' + quoted + '},"data":' + markdowns + "}]}"
  );
  responseWrite(changetype<usize>(response), response.byteLength);
  return 0;
}
