-- leave: a gateway worker ends in order; no eviction waits for it any more.
-- ARGV: gateway
redis.call('ZREM', P .. 'gateways', ARGV[1])
redis.call('HDEL', P .. 'seen', ARGV[1])
return {'ok'}
