#include "proxy/respond.hpp"

#include "base/text.hpp"
#include "proxy/pages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>

namespace alcove::proxy {
namespace {

constexpr int kRetryAfterDefault_s = 2;

// RFC 9110 5.6.7. Not strftime: its names follow the locale.
std::string_view http_date() {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t made = -1;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == made) return text;
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> buffer{};
  const int size = std::snprintf(buffer.data(), buffer.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                                 utc.tm_hour, utc.tm_min, utc.tm_sec);
  text.assign(buffer.data(), static_cast<std::size_t>(size));
  made = now;
  return text;
}

// The error types of RFC 9209 2.3.
std::string_view dial_error(int status) {
  return status == 504 ? "connection_timeout" : "connection_refused";
}

std::string_view pod_error(const Failure& f) {
  switch (f.phase) {
    case Phase::dial:
      return dial_error(f.status);
    case Phase::response:
      return f.status == 504 ? "http_response_timeout" : "connection_terminated";
    case Phase::body:
      return f.status == 504 ? "connection_read_timeout" : "http_response_incomplete";
    case Phase::tunnel:
      return "connection_terminated";
    default:
      return "destination_unavailable";
  }
}

std::string_view proxy_error(const Failure& f) {
  if (f.side == Side::pod) return pod_error(f);
  if (f.status == 401 || f.status == 403) return "http_request_denied";
  if (f.status == 404) return "destination_not_found";
  if (f.limit == Limit::connections || f.limit == Limit::connections_per_address)
    return "connection_limit_reached";
  if (f.side == Side::client) return "http_request_error";
  if (f.side == Side::runtime) return "destination_unavailable";
  if (f.side == Side::alcove) {
    if (f.limit == Limit::holds || f.limit == Limit::holds_per_user) return "connection_limit_reached";
    if (f.status == 503 || f.status == 424) return "destination_unavailable";
    if (f.status == 504) return "destination_unavailable";
    if (f.status >= 400 && f.status < 500) return "http_request_error";
  }
  return "proxy_internal_error";
}

bool has_field(const Reply& reply, std::string_view name) {
  return std::any_of(reply.fields.begin(), reply.fields.end(),
                     [name](const auto& field) { return iequals(field.first, name); });
}

// Some values carry text from outside (Location, request ids): whatever would end the line or confuse a
// reader of it becomes a space, so that one field stays one field.
void put_field(std::string& out, std::string_view name, std::string_view value) {
  const auto put = [&out](std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back((byte < 0x20 && byte != '\t') || byte == 0x7f ? ' ' : c);
    }
  };
  put(name);
  out += ": ";
  put(value);
  out += "\r\n";
}

bool may_have_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

struct ErrorWords {
  std::string_view title;
  std::string_view text;
};

ErrorWords words_for(int status) {
  switch (status) {
    case 400:
      return {"That request did not make sense", "The request was not valid HTTP, so it was not passed on."};
    case 401:
      return {"Please sign in", "This address is for people who are signed in."};
    case 403:
      return {"This is not yours to enter", "You are signed in, but this place belongs to somebody else."};
    case 404:
      return {"Nothing lives here", "There is nothing at this address."};
    case 405:
      return {"That is not done here", "This address does not take that method."};
    case 408:
      return {"That took too long", "The request did not arrive in time."};
    case 413:
      return {"That is too large", "The request is larger than this app accepts."};
    case 414:
      return {"That address is too long", "The address is longer than is accepted here."};
    case 424:
      return {"This app is at rest", "Nothing of it runs now. Open or reload its page to start it."};
    case 429:
      return {"One moment, please", "There are too many requests from you at once."};
    case 431:
      return {"Too much in the head", "The request's header fields are larger than is accepted here."};
    case 502:
      return {"The app did not answer", "The app is there, but it did not give a proper answer."};
    case 503:
      return {"Not available right now", "Please try again in a moment."};
    case 504:
      return {"The app is taking too long", "It did not answer in time. Please try again in a moment."};
    default:
      return {"Something went wrong", "This request could not be served."};
  }
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 424:
      return "Failed Dependency";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

void write_reply(const Reply& reply, const ReplyContext& context, std::string& out) {
  out.reserve(out.size() + 512 + reply.body.size());
  out += "HTTP/1.1 " + std::to_string(reply.status) + " ";
  out += reason_phrase(reply.status);
  out += "\r\nServer: alcove\r\n";
  put_field(out, "Date", http_date());
  if (reply.failure != nullptr) {
    const auto end = end_code(*reply.failure);
    out += "Proxy-Status: alcove; error=";
    out += proxy_error(*reply.failure);
    out += "; details=\"";
    out.append(end.data(), end.size());
    out += "\"\r\n";
  } else {
    out += "Proxy-Status: alcove; error=proxy_internal_response\r\n";
  }
  if (!context.request_id.empty()) put_field(out, "X-Request-ID", context.request_id);
  if (!has_field(reply, "Cache-Control")) out += "Cache-Control: no-store\r\n";
  out += "X-Content-Type-Options: nosniff\r\n";
  if ((reply.status == 503 || reply.status == 429) && !has_field(reply, "Retry-After")) {
    const int after_s = reply.failure != nullptr ? reply.failure->retry_after_s : 0;
    put_field(out, "Retry-After", std::to_string(after_s > 0 ? after_s : kRetryAfterDefault_s));
  }
  // Both are required with their status: RFC 9110 15.5.2 and 15.5.6.
  if (reply.status == 401 && !has_field(reply, "WWW-Authenticate"))
    out += "WWW-Authenticate: Alcove realm=\"alcove\"\r\n";
  if (reply.status == 405 && !has_field(reply, "Allow"))
    out += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
  for (const auto& [name, value] : reply.fields) put_field(out, name, value);

  const bool body = may_have_body(reply.status);
  if (body && !reply.content_type.empty()) put_field(out, "Content-Type", reply.content_type);
  if (body && !reply.streaming) put_field(out, "Content-Length", std::to_string(reply.body.size()));
  // A stream that is not chunked ends with the connection (RFC 9112 6.3).
  const bool until_close = body && reply.streaming && !has_field(reply, "Transfer-Encoding");
  if (!context.keep_alive || until_close) {
    out += "Connection: close\r\n";
  } else if (!context.http11) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (body && !context.head_only) out += reply.body;
}

Reply error_reply(const Failure& failure, const ReplyContext& context) {
  Reply reply;
  reply.status = failure.status;
  reply.failure = &failure;
  if (failure.retry_after_s > 0)
    reply.fields.emplace_back("Retry-After", std::to_string(failure.retry_after_s));
  const auto end = end_code(failure);
  const std::string_view code(end.data(), end.size());
  const ErrorWords words = words_for(failure.status);
  const std::string_view text = failure.text.empty() ? words.text : std::string_view(failure.text);
  if (context.html) {
    Page page = error_page(failure.status, words.title, text, code, context.request_id);
    reply.content_type = "text/html; charset=utf-8";
    reply.body = std::move(page.html);
    reply.fields.emplace_back("Content-Security-Policy", std::move(page.csp));
    return reply;
  }
  nlohmann::ordered_json problem;
  problem["title"] = reason_phrase(failure.status);
  problem["status"] = failure.status;
  problem["detail"] = text;
  problem["code"] = code;
  if (failure.limit != Limit::none) problem["limit"] = name_of(failure.limit);
  problem["request_id"] = context.request_id;
  reply.content_type = "application/problem+json";
  reply.body = problem.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return reply;
}

}  // namespace alcove::proxy
