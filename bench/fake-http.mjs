/** A request as Express hands it to a middleware, as light as it can be. */
class FakeRequest {
  method = 'GET';
  url = '/mcp';
  originalUrl = '/mcp';
  baseUrl = '';
  protocol = 'https';
  query = {};
  body = undefined;
  socket = {};

  constructor(authorization) {
    this.headers = { host: 'mcp.example.com', accept: 'application/json', authorization };
    this.rawHeaders = ['Host', 'mcp.example.com', 'Accept', 'application/json', 'Authorization', authorization];
  }

  get(name) {
    return this.headers[name.toLowerCase()];
  }

  is() {
    return false;
  }
}

/** A response that keeps what it is told and reports its end. */
class FakeResponse {
  statusCode = 200;
  headersSent = false;
  #headers = {};
  #onEnd;

  constructor(onEnd) {
    this.#onEnd = onEnd;
  }

  setHeader(name, value) {
    this.#headers[name.toLowerCase()] = value;
    return this;
  }

  getHeader(name) {
    return this.#headers[name.toLowerCase()];
  }

  hasHeader(name) {
    return name.toLowerCase() in this.#headers;
  }

  removeHeader(name) {
    delete this.#headers[name.toLowerCase()];
  }

  writeHead(status, headers) {
    this.statusCode = status;
    for (const name in headers) this.setHeader(name, headers[name]);
    this.headersSent = true;
    return this;
  }

  set(name, value) {
    return this.setHeader(name, value);
  }

  status(code) {
    this.statusCode = code;
    return this;
  }

  json(body) {
    return this.setHeader('Content-Type', 'application/json').end(JSON.stringify(body));
  }

  end() {
    this.headersSent = true;
    this.#onEnd();
    return this;
  }
}

/** The header of each token as the bytes that arrive. */
export const headersOf = tokens => tokens.map(token => Buffer.from(`Bearer ${token}`, 'latin1'));

/**
 * Sends `count` requests through `middleware`, `inFlight` at a time and the headers in turns; answers how many passed
 * and how many were refused. Each request is new and its header a fresh string, as `node:http` makes them.
 */
export function drive(middleware, headers, count = headers.length, inFlight = 16) {
  return new Promise(resolve => {
    const answers = { passed: 0, refused: 0 };
    let sent = 0;
    let open = 0;
    let sending = false;

    const settle = answer => {
      answers[answer]++;
      open--;
      if (!sending) send();
    };
    const refuse = () => settle('refused');
    const send = () => {
      sending = true;
      while (open < inFlight && sent < count) {
        const req = new FakeRequest(headers[sent++ % headers.length].latin1Slice());
        open++;
        middleware(req, new FakeResponse(refuse), error => settle(error ? 'refused' : 'passed'));
      }
      sending = false;
      if (open === 0) resolve(answers);
    };
    send();
  });
}
