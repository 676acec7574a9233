// Many WebSockets through a proxy: opens them all, then either lets them rest or sends on each and waits for
// the echo, one message at a time. One thread, one epoll.
//
//   websockets --port P --sockets N --users U [--first K] [--sources S] [--seconds T] [--size BYTES]
//
// Socket i is of user (K + i) mod U and comes from the (i mod S)-th loopback address. When all are open it
// prints "open". With --seconds it then echoes for so long (text frames of --size bytes, 64 if not said) and
// prints one line of JSON; else it waits until its input ends and prints how many are still open. Ends with 1
// if a handshake is not answered with 101.
#define _GNU_SOURCE
#include "load/net.h"

#include <getopt.h>
#include <signal.h>

enum { MOST_AT_ONCE = 64, MOST_SIZE = 65535, MOST_LATENCIES = 10000000 };
enum state { CONNECTING, SHAKING, OPEN, CLOSED };

struct conn {
  int fd;
  unsigned number;
  enum state state;
  size_t awaited;  // bytes of the echo still to come
  uint64_t since;
};

static struct {
  unsigned port, sockets, users, first, sources, size;
  double seconds;
} o = {.sources = 1, .size = 64};

static int epoll;
static struct conn* conns;
static unsigned started, opened, closed;
static char frame[MOST_SIZE + 8];
static size_t frame_size, echo_size;
static int echoing;
static uint64_t messages;
static uint64_t* latencies;

static void start_next(void) {
  struct conn* const c = &conns[started];
  const struct sockaddr_in source = address_at("127.32.0.1", started % o.sources, 0);
  c->number = started++;
  c->fd = begin_connect(address_at("127.0.0.1", 0, o.port), &source);
  watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void shake_hands(struct conn* c) {
  char text[512];
  const unsigned user = (o.first + c->number) % o.users;
  const int size = snprintf(
      text, sizeof text,
      "GET /user-%u/ HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: user-%u\r\nConnection: Upgrade\r\n"
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      user, user);
  if (write(c->fd, text, (size_t)size) != size) die("a handshake could not be sent: %s", strerror(errno));
  c->state = SHAKING;
  watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

static void send_frame(struct conn* c) {
  c->awaited = echo_size;
  c->since = now_ns();
  if (write(c->fd, frame, frame_size) != (ssize_t)frame_size) die("a frame did not fit into one write");
}

static void on_event(struct conn* c) {
  static char in[MOST_SIZE + 8];
  if (c->state == CONNECTING) return shake_hands(c);
  const ssize_t got = read(c->fd, in, sizeof in);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    if (c->state == SHAKING) die("a handshake was not answered");
    close(c->fd);
    c->state = CLOSED;
    ++closed;
    return;
  }
  if (c->state == SHAKING) {
    if (strncmp(in, "HTTP/1.1 101", 12) != 0) die("a handshake was refused: %.*s", (int)got, in);
    c->state = OPEN;
    ++opened;
    return;
  }
  if (!echoing) return;
  if ((size_t)got > c->awaited) die("more came back than was sent");
  c->awaited -= (size_t)got;
  if (c->awaited > 0) return;
  if (messages < MOST_LATENCIES) latencies[messages] = now_ns() - c->since;
  ++messages;
  send_frame(c);
}

static void run_until(uint64_t deadline, int stop_with_input) {
  struct epoll_event events[256];
  for (;;) {
    const uint64_t now = now_ns();
    if (now >= deadline) return;
    const uint64_t left_ms = (deadline - now) / 1000000 + 1;
    const int ready = epoll_wait(epoll, events, 256, left_ms > 1000 ? 1000 : (int)left_ms);
    for (int i = 0; i < ready; ++i) {
      if (!events[i].data.ptr) return;  // the input has ended
      on_event(events[i].data.ptr);
      if (!stop_with_input && !echoing && opened == o.sockets) return;
    }
    while (!echoing && started < o.sockets && started - opened < MOST_AT_ONCE) start_next();
  }
}

static void make_frame(void) {
  size_t at = 2;
  frame[0] = (char)0x81;
  if (o.size < 126) {
    frame[1] = (char)(0x80 | o.size);
  } else {
    frame[1] = (char)(0x80 | 126);
    frame[2] = (char)(o.size >> 8);
    frame[3] = (char)o.size;
    at = 4;
  }
  echo_size = at + o.size;
  memcpy(frame + at, "\x12\x34\x56\x78", 4);
  for (unsigned i = 0; i < o.size; ++i) frame[at + 4 + i] = (char)('x' ^ frame[at + (i & 3)]);
  frame_size = at + 4 + o.size;
}

static void options(int argc, char** argv) {
  static const struct option known[] = {
      {"port", 1, NULL, 'p'},    {"sockets", 1, NULL, 'n'}, {"users", 1, NULL, 'u'}, {"first", 1, NULL, 'f'},
      {"sources", 1, NULL, 's'}, {"seconds", 1, NULL, 't'}, {"size", 1, NULL, 'b'},  {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (c == 'p') o.port = (unsigned)number(optarg, "--port", 1, 65535);
    if (c == 'n') o.sockets = (unsigned)number(optarg, "--sockets", 1, 1000000);
    if (c == 'u') o.users = (unsigned)number(optarg, "--users", 1, 10000000);
    if (c == 'f') o.first = (unsigned)number(optarg, "--first", 0, 10000000);
    if (c == 's') o.sources = (unsigned)number(optarg, "--sources", 1, 250);
    if (c == 't') o.seconds = atof(optarg);
    if (c == 'b') o.size = (unsigned)number(optarg, "--size", 1, MOST_SIZE);
    if (c == '?') exit(2);
  }
  if (!o.port || !o.sockets || !o.users) die("see the first lines of websockets.c");
}

int main(int argc, char** argv) {
  options(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  make_frame();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  conns = calloc(o.sockets, sizeof *conns);
  latencies = calloc(MOST_LATENCIES, sizeof *latencies);
  if (!conns || !latencies) die("out of memory");
  while (started < o.sockets && started < MOST_AT_ONCE) start_next();
  run_until(now_ns() + 120000000000u, 0);
  if (opened < o.sockets) die("only %u of %u were open after 120 s", opened, o.sockets);
  puts("open");
  fflush(stdout);

  const uint64_t began = now_ns();
  if (o.seconds > 0) {
    echoing = 1;
    for (unsigned i = 0; i < o.sockets; ++i) send_frame(&conns[i]);
    run_until(began + (uint64_t)(o.seconds * 1e9), 0);
  } else {
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
    run_until(UINT64_MAX, 1);
  }
  const double took = (double)(now_ns() - began) / 1e9;
  const size_t kept = messages < MOST_LATENCIES ? (size_t)messages : MOST_LATENCIES;
  qsort(latencies, kept, sizeof *latencies, by_value);
  printf(
      "{\"open\": %u, \"closed\": %u, \"messages\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": "
      "%.1f}\n",
      opened - closed, closed, (unsigned long long)messages, took, quantile_us(latencies, kept, 0.5),
      quantile_us(latencies, kept, 0.99));
  return 0;
}
