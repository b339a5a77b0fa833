//! JSON, read into a tree that borrows from the text, and written in order.

use std::borrow::Cow;

/// A JSON value. Numbers stay as they are written.
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Returns a member of an object; null if there is none.
    pub fn get(&self, name: &str) -> &Value<'a> {
        match self {
            Value::Object(members) => members.iter().rev().find(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value),
            _ => &Value::Null,
        }
    }

    pub fn members(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        match self {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Value<'a>] {
        match self {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::String(text) => text,
            _ => "",
        }
    }

    pub fn whole(&self) -> Option<i64> {
        match self {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// What nesting is refused at.
const DEEPEST: usize = 1000;

/// Reads one document.
pub fn parse(text: &str) -> Result<Value<'_>, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => parser.fail("nothing more"),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, wanted: &str) -> Result<T, String> {
        Err(format!("the request is no JSON: {} was expected at byte {}", wanted, self.at))
    }

    /// Passes over white space and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += found as usize;
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, String> {
        if depth > DEEPEST {
            return self.fail("less nesting");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(self.number())),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.fail("a value"),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, String> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail(word);
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = bytes.get(self.at) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, String> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.fail("a key");
            }
            let key = self.string()?;
            if !self.take(b':') {
                return self.fail("a colon");
            }
            members.push((key, self.value(depth + 1)?));
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return self.fail("a comma");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, String> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return self.fail("a comma");
            }
        }
    }

    /// Reads a string. One without escapes is borrowed.
    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.at += 1;
        let text = self.text;
        let mut owned: Option<String> = None;
        loop {
            let start = self.at;
            while !matches!(text.as_bytes().get(self.at), None | Some(b'"' | b'\\')) {
                self.at += 1;
            }
            let plain = &text[start..self.at];
            match text.as_bytes().get(self.at) {
                None => return self.fail("the end of a string"),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(plain),
                        Some(before) => Cow::Owned(before + plain),
                    });
                }
                Some(_) => {
                    let owned = owned.get_or_insert_with(|| String::with_capacity(2 * plain.len() + 16));
                    owned.push_str(plain);
                    self.at += 1;
                    owned.push(self.escape()?);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let kind = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        Ok(match kind {
            Some(c @ (b'"' | b'\\' | b'/')) => c as char,
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => self.unicode()?,
            _ => return self.fail("an escape"),
        })
    }

    fn unicode(&mut self) -> Result<char, String> {
        let high = self.hex()?;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                return Ok(char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap());
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or('\u{fffd}'))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4);
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.fail("four hexadecimal digits"),
        }
    }
}

/// Writes JSON: objects and arrays as closures, members in the order of the calls.
#[derive(Default)]
pub struct Writer {
    pub out: Vec<u8>,
    /// Whether `<`, `>` and `&` are escaped too.
    pub html: bool,
}

impl Writer {
    pub fn object(&mut self, members: impl FnOnce(&mut Writer)) {
        self.within(b'{', b'}', members);
    }

    pub fn array(&mut self, items: impl FnOnce(&mut Writer)) {
        self.within(b'[', b']', items);
    }

    fn within(&mut self, open: u8, close: u8, content: impl FnOnce(&mut Writer)) {
        self.separate();
        self.out.push(open);
        content(self);
        self.out.push(close);
    }

    /// Writes a comma where a value or member follows another.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// Writes a member's name. Its value is to follow.
    pub fn member(&mut self, name: &str) -> &mut Writer {
        self.string(name);
        self.out.push(b':');
        self
    }

    pub fn field(&mut self, name: &str, text: &str) {
        self.member(name).string(text);
    }

    pub fn number(&mut self, value: i64) {
        self.raw(&value.to_string());
    }

    pub fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    fn raw(&mut self, text: &str) {
        self.separate();
        self.out.extend_from_slice(text.as_bytes());
    }

    pub fn string(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut start = 0;
        let mut at = 0;
        while at < bytes.len() {
            let length = self.escaped(&bytes[at..]);
            if length > 0 {
                self.out.extend_from_slice(&bytes[start..at]);
                self.escape(&text[at..]);
                start = at + length;
            }
            at += length.max(1);
        }
        self.out.extend_from_slice(&bytes[start..]);
        self.out.push(b'"');
    }

    /// Returns how many bytes at the start have to be written as an escape.
    fn escaped(&self, bytes: &[u8]) -> usize {
        match bytes[0] {
            b'"' | b'\\' | 0..=0x1f => 1,
            b'<' | b'>' | b'&' if self.html => 1,
            0xe2 if bytes.starts_with(b"\xe2\x80\xa8") || bytes.starts_with(b"\xe2\x80\xa9") => 3,
            _ => 0,
        }
    }

    fn escape(&mut self, text: &str) {
        let c = text.chars().next().unwrap();
        match c {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            '\u{8}' => self.out.extend_from_slice(b"\\b"),
            '\u{c}' => self.out.extend_from_slice(b"\\f"),
            _ => self.out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
        }
    }
}
