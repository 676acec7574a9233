/* A pod so light that thousands of them fit: one process, one thread, poll(), a few hundred KiB. Answers every GET with
   JSON of the same names as tests/support/pod.py, and when its first byte came (CLOCK_MONOTONIC, the same for all
   processes of the machine). Built and used by tests/faults/test_herds.py.
     light_pod ADDRESS PORT [START_DELAY_MS] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, HEAD = 8192 };

struct Connection {
  size_t have;
  char head[HEAD];
};

static struct pollfd polled[MOST];
static struct Connection* connections[MOST];
static int count = 1;
static double first_byte_at;

static void forget(int i) {
  close(polled[i].fd);
  free(connections[i]);
  --count;
  polled[i] = polled[count];
  connections[i] = connections[count];
}

static void field(const char* head, const char* name, char* out, size_t size) {
  const char* at = strcasestr(head, name);
  out[0] = '\0';
  if (at == NULL) return;
  at += strlen(name);
  at += strspn(at, " ");
  const size_t length = strcspn(at, "\r");
  if (length < size) {
    memcpy(out, at, length);
    out[length] = '\0';
  }
}

static int answer(int i) {
  struct Connection* c = connections[i];
  char method[16], target[1024], user[256], body[2048], text[4096];
  if (sscanf(c->head, "%15s %1023s", method, target) != 2) return 0;
  field(c->head, "\r\nX-Alcove-User:", user, sizeof user);
  const char* session = getenv("ALCOVE_SESSION");
  const char* generation = getenv("ALCOVE_GENERATION");
  const int size = snprintf(body, sizeof body,
                            "{\"method\":\"%s\",\"target\":\"%s\",\"session\":\"%s\",\"user\":\"%s\",\"generation\":%s,"
                            "\"pid\":%d,\"first_byte_at\":%.6f}\n",
                            method, target, session ? session : "", user, generation ? generation : "0", (int)getpid(),
                            first_byte_at);
  const int all = snprintf(text, sizeof text,
                           "HTTP/1.1 200 OK\r\nServer: light-pod\r\nContent-Type: application/json\r\n"
                           "Content-Length: %d\r\n\r\n%s",
                           size, body);
  return send(polled[i].fd, text, (size_t)all, MSG_NOSIGNAL) == all;
}

static void serve(int i) {
  struct Connection* c = connections[i];
  const ssize_t got = recv(polled[i].fd, c->head + c->have, HEAD - 1 - c->have, 0);
  if (got <= 0) {
    forget(i);
    return;
  }
  if (first_byte_at == 0) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    first_byte_at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  }
  c->have += (size_t)got;
  c->head[c->have] = '\0';
  if (strstr(c->head, "\r\n\r\n") == NULL) return;
  c->have = 0;
  if (!answer(i)) forget(i);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (argc > 3) usleep((useconds_t)atoi(argv[3]) * 1000);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) return 2;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
    perror("light_pod");
    return 1;
  }
  polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (;;) {
    if (poll(polled, (nfds_t)count, -1) < 0) continue;
    for (int i = count - 1; i > 0; --i)
      if (polled[i].revents != 0) serve(i);
    if (polled[0].revents == 0) continue;
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    struct Connection* fresh = count < MOST ? calloc(1, sizeof *fresh) : NULL;
    if (fresh == NULL) {
      close(fd);
      continue;
    }
    connections[count] = fresh;
    polled[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
}
