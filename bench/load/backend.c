// Every user's pod: one epoll server that listens on many loopback endpoints and answers at once. So "1,000
// users on 1,000 endpoints" is real, and costs the machine one process. Lean, since it shares a core with the
// load generator. Not a web server: it trusts its clients, who are the proxies under test.
//
//   backend FIRST_ADDRESS COUNT PORT       prints "listening" when it does
//
//   GET  anything      200 with 128 bytes
//   GET  /bytes/N      200 with N bytes
//   GET  /ready        200; the readiness check. When the first byte of the next other request arrives at
//   this
//                      endpoint, the time since then is printed: "first_byte_us X"
//   GET  /hang         no answer, ever
//   POST anything      reads the body (with Content-Length) and answers like GET
//   WebSocket          echoes text and binary frames below 64 KiB; answers nothing else
#define _GNU_SOURCE
#include "load/net.h"

#include <openssl/sha.h>

#include <signal.h>
#include <strings.h>
#include <sys/uio.h>

enum state { HEAD, BODY, ANSWER, SOCKET, HANG };

struct conn {
  int fd;
  int listener;  // index; of a listening socket: -1 - index
  enum state state;
  int close_after;
  char* rest;  // of an incomplete head or frame
  size_t rest_size;
  uint64_t left;  // BODY: to read. ANSWER: to write
  char head[160];
  size_t head_size, head_sent;
  uint64_t asked;  // answer size
};

struct request {
  uint64_t content_length;
  int upgrade, close;
  const char* key;
  size_t key_size;
};

static char block[256 * 1024];
static char scratch[256 * 1024];
static uint64_t* ready_at;
static int epoll;

static void drop(struct conn* c) {
  close(c->fd);
  free(c->rest);
  free(c);
}

static void keep_rest(struct conn* c, const char* data, size_t size) {
  char* const copy = size ? malloc(size) : NULL;
  if (size && !copy) die("out of memory");
  if (size) memcpy(copy, data, size);
  free(c->rest);
  c->rest = copy;
  c->rest_size = size;
}

// True: all is sent. False: the socket is full and is watched for room; or it is broken, which the next read
// tells.
static int send_answer(struct conn* c) {
  for (;;) {
    const size_t body = c->left < sizeof block ? (size_t)c->left : sizeof block;
    struct iovec parts[2] = {{c->head + c->head_sent, c->head_size - c->head_sent}, {block, body}};
    const size_t wanted = parts[0].iov_len + body;
    if (wanted == 0) return 1;
    const ssize_t size = writev(c->fd, parts, 2);
    if (size < 0) return 0;
    const size_t of_head = (size_t)size < parts[0].iov_len ? (size_t)size : parts[0].iov_len;
    c->head_sent += of_head;
    c->left -= (uint64_t)size - of_head;
    if ((size_t)size < wanted) return 0;
  }
}

static int answer(struct conn* c) {
  c->head_size = (size_t)snprintf(
      c->head, sizeof c->head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
      (unsigned long long)c->asked);
  c->head_sent = 0;
  c->left = c->asked;
  if (send_answer(c)) {
    c->state = HEAD;
    return 1;
  }
  c->state = ANSWER;
  watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
  return 0;
}

static void base64(const unsigned char* in, size_t size, char* out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    const unsigned v =
        (unsigned)in[i] << 16 | (i + 1 < size ? in[i + 1] : 0u) << 8 | (i + 2 < size ? in[i + 2] : 0u);
    *out++ = digits[v >> 18];
    *out++ = digits[v >> 12 & 63];
    *out++ = i + 1 < size ? digits[v >> 6 & 63] : '=';
    *out++ = i + 2 < size ? digits[v & 63] : '=';
  }
  *out = 0;
}

static void switch_protocols(struct conn* c, const struct request* r) {
  char text[256];
  unsigned char digest[SHA_DIGEST_LENGTH];
  char accept[32];
  const int size =
      snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)r->key_size, r->key);
  SHA1((unsigned char*)text, (size_t)size, digest);
  base64(digest, sizeof digest, accept);
  const int out = snprintf(text, sizeof text,
                           "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Accept: %s\r\n\r\n",
                           accept);
  if (write(c->fd, text, (size_t)out) != out) die("a handshake did not fit into one write");
  c->state = SOCKET;
}

static int is(const char* line, const char* end, const char* name) {
  const size_t size = strlen(name);
  return (size_t)(end - line) > size && strncasecmp(line, name, size) == 0;
}

static struct request parse(const char* head, const char* end) {
  struct request r = {0};
  for (const char* line = memchr(head, '\n', (size_t)(end - head)); line && ++line < end;) {
    const char* const stop = memchr(line, '\n', (size_t)(end - line));
    if (!stop) break;
    const int first = *line | 0x20;
    if (first == 'c' && is(line, stop, "content-length:")) r.content_length = strtoull(line + 15, NULL, 10);
    if (first == 'c' && is(line, stop, "connection: close")) r.close = 1;
    if (first == 'u' && is(line, stop, "upgrade: websocket")) r.upgrade = 1;
    if (first == 't' && is(line, stop, "transfer-encoding:"))
      die("bodies in chunks are not what this is for");
    if (first == 's' && is(line, stop, "sec-websocket-key:")) {
      r.key = line + 18;
      while (*r.key == ' ') ++r.key;
      r.key_size = (size_t)(stop - r.key) - 1;
    }
    line = stop;
  }
  return r;
}

// One request's head. Answers whether the connection goes on.
static int on_head(struct conn* c, const char* head, const char* end, uint64_t arrived) {
  const struct request r = parse(head, end);
  const char* const target = memchr(head, ' ', (size_t)(end - head));
  const int checks = target && strncmp(target, " /ready ", 8) == 0;
  if (!checks && ready_at[c->listener]) {
    printf("first_byte_us %.1f\n", (double)(arrived - ready_at[c->listener]) / 1000.0);
    fflush(stdout);
    ready_at[c->listener] = 0;
  }
  c->close_after = r.close;
  c->asked = 128;
  if (target && strncmp(target, " /bytes/", 8) == 0) c->asked = strtoull(target + 8, NULL, 10);
  if (r.upgrade) {
    switch_protocols(c, &r);
  } else if (target && strncmp(target, " /hang", 6) == 0) {
    c->state = HANG;
  } else if (r.content_length) {
    c->left = r.content_length;
    c->state = BODY;
  } else if (!answer(c)) {
    return 1;
  }
  // After the answer is on its way: what is measured is how soon the proxy comes then.
  if (checks) ready_at[c->listener] = now_ns();
  return !(c->state == HEAD && c->close_after);
}

// Echoes the whole frames in `data`; answers how many bytes they took.
static size_t on_frames(struct conn* c, char* data, size_t size) {
  static char out[sizeof scratch];
  size_t used = 0;
  size_t out_size = 0;
  while (size - used >= 6) {
    unsigned char* const frame = (unsigned char*)data + used;
    size_t payload = frame[1] & 0x7f;
    size_t at = 2;
    if (payload == 127 || !(frame[1] & 0x80)) die("a frame that is too long or not masked");
    if (payload == 126) {
      if (size - used < 8) break;
      payload = (size_t)frame[2] << 8 | frame[3];
      at = 4;
    }
    if (size - used < at + 4 + payload) break;
    const unsigned char* const mask = frame + at;
    unsigned char* const body = frame + at + 4;
    for (size_t i = 0; i < payload; ++i) body[i] ^= mask[i & 3];
    memcpy(out + out_size, frame, at);
    out[out_size + 1] &= 0x7f;
    memcpy(out + out_size + at, body, payload);
    used += at + 4 + payload;
    if ((frame[0] & 0x0f) <= 2) out_size += at + payload;
  }
  if (out_size && write(c->fd, out, out_size) != (ssize_t)out_size) die("an echo did not fit into one write");
  return used;
}

static void on_readable(struct conn* c) {
  const uint64_t arrived = ready_at[c->listener] ? now_ns() : 0;
  if (c->rest_size) memcpy(scratch, c->rest, c->rest_size);
  const ssize_t got = read(c->fd, scratch + c->rest_size, sizeof scratch - c->rest_size);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return drop(c);
  char* at = scratch;
  char* const end = scratch + c->rest_size + got;
  while (at < end) {
    if (c->state == HEAD) {
      char* const head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
      if (!head_end) break;
      if (!on_head(c, at, head_end + 2, arrived)) return drop(c);
      at = head_end + 4;
    } else if (c->state == BODY) {
      const size_t here = (uint64_t)(end - at) < c->left ? (size_t)(end - at) : (size_t)c->left;
      at += here;
      c->left -= here;
      if (c->left == 0 && answer(c) && c->close_after) return drop(c);
    } else if (c->state == SOCKET) {
      const size_t used = on_frames(c, at, (size_t)(end - at));
      at += used;
      if (used == 0) break;
    } else {
      break;  // ANSWER, HANG: nobody sends now
    }
  }
  if (c->rest || at < end) keep_rest(c, at, (size_t)(end - at));
}

static void on_writable(struct conn* c) {
  if (!send_answer(c)) return;
  if (c->close_after) return drop(c);
  c->state = HEAD;
  watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

static void on_client(struct conn* listener) {
  const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  struct conn* const c = calloc(1, sizeof *c);
  if (!c) die("out of memory");
  no_delay(fd);
  c->fd = fd;
  c->listener = -1 - listener->listener;
  watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
}

int main(int argc, char** argv) {
  if (argc != 4) die("usage: backend FIRST_ADDRESS COUNT PORT");
  const int count = (int)number(argv[2], "COUNT", 1, 100000);
  const unsigned port = (unsigned)number(argv[3], "PORT", 1, 65535);
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  ready_at = calloc((size_t)count, sizeof *ready_at);
  struct conn* const listeners = calloc((size_t)count, sizeof *listeners);
  if (!ready_at || !listeners) die("out of memory");
  for (int i = 0; i < count; ++i) {
    listeners[i].fd = listen_on(address_at(argv[1], (unsigned)i, port), SOCK_NONBLOCK);
    listeners[i].listener = -1 - i;
    watch(epoll, EPOLL_CTL_ADD, listeners[i].fd, EPOLLIN, &listeners[i]);
  }
  puts("listening");
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    const int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      struct conn* const c = events[i].data.ptr;
      if (c->listener < 0) {
        on_client(c);
      } else if (c->state == ANSWER) {
        if (events[i].events & (EPOLLERR | EPOLLHUP))
          drop(c);
        else
          on_writable(c);
      } else {
        on_readable(c);
      }
    }
  }
}
