'use strict';
// winston-elasticsearch behind a recursive key-redact function: reads a file of JSON documents and logs each.
// usage: node ship.js URL FILE INDEX
//
// Its buffer lies in memory and it gives no ids. Set up to be fast: the reader flushes every FLUSH_EVERY documents
// and goes on while up to two requests are on their way. By itself the transport sends all that it holds in one
// request every two seconds; one of over 100 MB is refused, and tried again for ever.

const fs = require('node:fs');
const readline = require('node:readline');
const winston = require('winston');
const { ElasticsearchTransport } = require('winston-elasticsearch');

const [url, file, index] = process.argv.slice(2);
const FLUSH_EVERY = 5000;
const TURN_EVERY = 500;

const SENSITIVE =
  /password|passwd|secret|token|creditcard|apikey|authorization|cookie|privatekey|clientsecret|sessionid/;

function redact(value) {
  if (Array.isArray(value)) return value.map(redact);
  if (value === null || typeof value !== 'object') return value;
  const result = {};
  for (const [key, inner] of Object.entries(value)) {
    result[key] = SENSITIVE.test(key.toLowerCase().replace(/[_-]/g, '')) ? '[REDACTED]' : redact(inner);
  }
  return result;
}

const transport = new ElasticsearchTransport({
  level: 'silly',
  index,
  ensureIndexTemplate: false,
  flushInterval: 30000, // also how long a request waits for a new index; the reader flushes long before
  buffering: true,
  internalLogger: () => {},
  clientOpts: { node: url },
  transformer: ({ meta }) => redact(meta.document),
});
transport.on('error', (error) => fail(error));
transport.on('warning', (error) => console.error(`winston: ${error.message}; trying again`));
const logger = winston.createLogger({ level: 'silly', transports: [transport] });

function fail(error) {
  console.error(`winston: ${error.message}`);
  process.exit(1);
}

// The transport says that it is finished while requests are on their way, and its timers outlive it.
let sending = 0;
const writer = transport.bulkWriter;
const write = writer.write;
writer.write = function counted(body) {
  sending += 1;
  return write.call(writer, body).then(() => { sending -= 1; });
};
transport.on('finish', async () => {
  while (sending > 0 || writer.bulk.length > 0) await pause();
  process.exit(0);
});

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function main() {
  const onTheWay = [];
  let count = 0;
  for await (const line of readline.createInterface({ input: fs.createReadStream(file), crlfDelay: Infinity })) {
    const document = JSON.parse(line);
    logger.log({ level: 'info', message: document.message || '', document });
    count += 1;
    if (count % TURN_EVERY === 0) await turn();
    if (count % FLUSH_EVERY === 0) {
      onTheWay.push(transport.flush());
      if (onTheWay.length > 1) await onTheWay.shift();
    }
  }
  await turn();
  await Promise.all(onTheWay);
  logger.end();
}

main().catch(fail);
