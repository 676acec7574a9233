// A load generator for what wrk and h2load cannot do: many users at a fixed rate, or each user exactly once.
// One thread, one epoll, 1 to many connections that are kept open.
//
//   http_load --port P --users N [--connections C] [--sources S] [--timeout SECONDS]
//             --rate R --seconds T      open loop: request k is due at k/R seconds, whatever became of those
//                                       before it. Its latency counts from then, also if it had to wait for a
//                                       free connection: a proxy that stalls cannot slow its own judge down
//             --requests M              closed loop: M requests in all, as fast as C connections take them;
//                                       latency counts from the sending
//
// Request k is of user k mod N, the users in a shuffled order that is always the same, as
// "GET /user-U/" with "X-User-ID: user-U". Connections come from S loopback addresses in turn. Prints one
// line of JSON: what was answered with 200, with something else, not at all (the connection broke, or no
// answer within the timeout after the end), and the latencies of the 200s.
#define _GNU_SOURCE
#include "load/net.h"

#include <getopt.h>
#include <signal.h>
#include <strings.h>
#include <sys/prctl.h>

enum { BUFFER = 4096 };

struct conn {
  int fd;
  int connecting, busy;
  unsigned source;
  uint64_t since;  // due (open loop) or sent (closed loop)
  size_t have;
  char in[BUFFER];
};

static struct {
  unsigned port, users, connections, sources;
  double rate, seconds, timeout;
  uint64_t requests;
} o = {.connections = 64, .sources = 1, .timeout = 5};

static int epoll;
static struct conn* conns;
static struct conn** idle;
static size_t idle_count;
static unsigned* order;
static uint64_t sent, answered, other, lost;
static uint64_t* latencies;

static void open_conn(struct conn* c) {
  const struct sockaddr_in source = address_at("127.32.0.1", c->source, 0);
  c->fd = begin_connect(address_at("127.0.0.1", 0, o.port), &source);
  c->connecting = 1;
  c->busy = 0;
  c->have = 0;
  watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void send_next(struct conn* c, uint64_t since) {
  char text[256];
  const unsigned user = order[sent % o.users];
  const int size =
      snprintf(text, sizeof text,
               "GET /user-%u/ HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: user-%u\r\n\r\n", user, user);
  ++sent;
  c->busy = 1;
  c->since = since;
  c->have = 0;
  // A connection that has been closed meanwhile is noticed by the read that follows.
  if (write(c->fd, text, (size_t)size) != size && errno != EPIPE && errno != ECONNRESET)
    die("a request did not fit into one write");
}

static void broken(struct conn* c) {
  if (c->busy) ++lost;
  for (size_t i = 0; i < idle_count; ++i)
    if (idle[i] == c) idle[i--] = idle[--idle_count];
  close(c->fd);
  open_conn(c);
}

// The bytes of the answer in c->in; 0: not whole yet.
static size_t whole(const struct conn* c, int* close_after) {
  const char* const end = memmem(c->in, c->have, "\r\n\r\n", 4);
  if (!end) {
    if (c->have == BUFFER) die("an answer's head is too long");
    return 0;
  }
  size_t length = 0;
  for (const char* line = c->in; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
    ++line;
    if (strncasecmp(line, "content-length:", 15) == 0) length = strtoul(line + 15, NULL, 10);
    if (strncasecmp(line, "connection: close", 17) == 0) *close_after = 1;
  }
  const size_t size = (size_t)(end - c->in) + 4 + length;
  if (size > BUFFER) die("an answer is too long: %zu bytes", size);
  return c->have >= size ? size : 0;
}

static void on_readable(struct conn* c) {
  const ssize_t got = read(c->fd, c->in + c->have, BUFFER - c->have);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return broken(c);
  c->have += (size_t)got;
  int close_after = 0;
  if (!c->busy || !whole(c, &close_after)) return;
  if (strncmp(c->in, "HTTP/1.1 200", 12) == 0)
    latencies[answered++] = now_ns() - c->since;
  else if (++other == 1)
    fprintf(stderr, "not 200: %.*s\n", (int)c->have, c->in);
  c->busy = 0;
  if (close_after) {
    close(c->fd);
    open_conn(c);
  } else {
    idle[idle_count++] = c;
  }
}

static void on_event(const struct epoll_event* event) {
  struct conn* const c = event->data.ptr;
  if (!c->connecting) return on_readable(c);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) die("cannot connect: %s", strerror(error));
  c->connecting = 0;
  watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
  idle[idle_count++] = c;
}

static void shuffle(void) {
  order = calloc(o.users, sizeof *order);
  if (!order) die("out of memory");
  for (unsigned i = 0; i < o.users; ++i) order[i] = i;
  uint64_t random = 1;
  for (unsigned i = o.users - 1; i > 0; --i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const unsigned j = (unsigned)((random >> 33) % (i + 1));
    const unsigned kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

static void options(int argc, char** argv) {
  static const struct option known[] = {
      {"port", 1, NULL, 'p'},     {"users", 1, NULL, 'u'},   {"connections", 1, NULL, 'c'},
      {"sources", 1, NULL, 's'},  {"rate", 1, NULL, 'r'},    {"seconds", 1, NULL, 't'},
      {"requests", 1, NULL, 'n'}, {"timeout", 1, NULL, 'w'}, {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (c == 'p') o.port = (unsigned)number(optarg, "--port", 1, 65535);
    if (c == 'u') o.users = (unsigned)number(optarg, "--users", 1, 10000000);
    if (c == 'c') o.connections = (unsigned)number(optarg, "--connections", 1, 100000);
    if (c == 's') o.sources = (unsigned)number(optarg, "--sources", 1, 250);
    if (c == 'r') o.rate = atof(optarg);
    if (c == 't') o.seconds = atof(optarg);
    if (c == 'n') o.requests = (uint64_t)number(optarg, "--requests", 1, 100000000);
    if (c == 'w') o.timeout = atof(optarg);
    if (c == '?') exit(2);
  }
  if (!o.port || !o.users || (o.rate > 0) == (o.requests > 0)) die("see the first lines of http_load.c");
  if (o.rate > 0) o.requests = (uint64_t)(o.rate * o.seconds);
  if (!o.requests) die("nothing to do");
}

int main(int argc, char** argv) {
  options(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);  // request k is due at its time, not 50 us later
  shuffle();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  conns = calloc(o.connections, sizeof *conns);
  idle = calloc(o.connections, sizeof *idle);
  latencies = calloc(o.requests, sizeof *latencies);
  if (!conns || !idle || !latencies) die("out of memory");
  for (unsigned i = 0; i < o.connections; ++i) {
    conns[i].source = i % o.sources;
    open_conn(&conns[i]);
  }

  struct epoll_event events[256];
  const uint64_t began = now_ns();
  uint64_t last_due = began;
  while (answered + other + lost < o.requests) {
    const uint64_t now = now_ns();
    uint64_t due = began;
    while (sent < o.requests && idle_count > 0) {
      if (o.rate > 0) due = began + (uint64_t)((double)sent * 1e9 / o.rate);
      if (due > now) break;
      last_due = due > last_due ? due : last_due;
      send_next(idle[--idle_count], o.rate > 0 ? due : now_ns());
      if (o.rate <= 0) last_due = now;
    }
    const uint64_t give_up =
        (o.rate > 0 ? began + (uint64_t)(o.seconds * 1e9) : last_due) + (uint64_t)(o.timeout * 1e9);
    if (now >= give_up) break;
    uint64_t until = give_up;
    if (o.rate > 0 && sent < o.requests && idle_count > 0)
      until = began + (uint64_t)((double)sent * 1e9 / o.rate);
    const uint64_t wait = until > now ? until - now : 0;
    const struct timespec limit = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    const int ready = epoll_pwait2(epoll, events, 256, &limit, NULL);
    for (int i = 0; i < ready; ++i) on_event(&events[i]);
  }
  const double took = (double)(now_ns() - began) / 1e9;
  qsort(latencies, answered, sizeof *latencies, by_value);
  printf(
      "{\"answered\": %llu, \"other\": %llu, \"lost\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
      "\"p90_us\": %.1f, "
      "\"p99_us\": %.1f, \"p999_us\": %.1f, \"most_us\": %.1f}\n",
      (unsigned long long)answered, (unsigned long long)other,
      (unsigned long long)(o.requests - answered - other), took, quantile_us(latencies, answered, 0.5),
      quantile_us(latencies, answered, 0.9), quantile_us(latencies, answered, 0.99),
      quantile_us(latencies, answered, 0.999), quantile_us(latencies, answered, 1));
  return 0;
}
