/**
 * A program for pods of tests: an application, or a caller. Runs under a user of its own, in a
 * network of its own.
 *   http NAME PORT        answers every request with what it saw
 *   tcp PORT              sends back what it gets
 *   greet PORT TEXT       says TEXT to whoever connects
 *   get URL [HEADERS]     asks, prints { status, body } as JSON
 *   send HOST PORT TEXT   sends, prints what comes back until a close or TEXT itself
 *   hear HOST PORT TEXT   the same, without sending anything
 *   keep HOST PORT TEXT   sends, and when something came back keeps the connection, until it ends
 */
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';

const ANSWER_MS_MAX = 10_000;

function serveHttp(name: string, port: number): void {
  const server = createServer((request, response) => {
    const { method, url, headers, socket } = request;
    const remoteAddress = socket.remoteAddress ?? '';
    response.end(JSON.stringify({ app: name, method, path: url, headers, remoteAddress }));
  });
  server.listen(port, '0.0.0.0', () => console.log('serving'));
}

function serveTcp(port: number): void {
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(port, '0.0.0.0', () => console.log('serving'));
}

function greet(port: number, text: string): void {
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(text);
  });
  server.listen(port, '0.0.0.0', () => console.log('serving'));
}

async function ask(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const sent = get(url, { headers, timeout: ANSWER_MS_MAX, agent: false });
  sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
  try {
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    let body = '';
    for await (const chunk of response) body += String(chunk);
    console.log(JSON.stringify({ status: response.statusCode, body }));
  } catch (error) {
    console.log(JSON.stringify({ status: 0, body: String(error) }));
  }
}

async function exchange(host: string, port: number, text: string, sent: string): Promise<void> {
  const socket = connect(port, host);
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('no answer in time')));
  if (sent !== '') socket.write(sent);
  let answer = '';
  try {
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.includes(text)) break;
    }
  } catch {
    // a reset: the answer is what came before it
  }
  socket.destroy();
  console.log(JSON.stringify({ answer }));
}

async function keep(host: string, port: number, text: string): Promise<void> {
  const socket = connect(port, host);
  socket.write(text);
  await once(socket, 'data');
  console.log('serving');
  await once(socket.resume(), 'close');
}

const [command, ...args] = process.argv.slice(2);
const [first = '', second = '', third = ''] = args;
if (command === 'http') serveHttp(first, Number(second));
else if (command === 'tcp') serveTcp(Number(first));
else if (command === 'get') await ask(first, JSON.parse(second || '{}'));
else if (command === 'greet') greet(Number(first), second);
else if (command === 'send') await exchange(first, Number(second), third, third);
else if (command === 'keep') await keep(first, Number(second), third);
else if (command === 'hear') await exchange(first, Number(second), third, '');
else throw new Error(`there is no command ${command}`);
