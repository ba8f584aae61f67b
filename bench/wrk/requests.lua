-- One script for all requests: wrk … -s requests.lua URL -- ACTION TABLE ITEMS FIRST
-- The items are those that bench/tables.py loads: 1 KB, keys that repeat after ITEMS. Each run
-- needs a FIRST of its own: a put that changes nothing would cost the server nothing.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-amz-json-1.0"
wrk.headers["X-Amz-Date"] = "20261120T000000Z"
wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"

local action, table_name, items, customers
local blob = string.rep("abcdefghij0123456789", 40)
local i = 0

local function item(n)
  return string.format('{"customer_id":{"S":"c%05d"},"sk":{"S":"p%09d"},"at":{"S":"2026-11-20T10:%09d"},"category":{"S":"k%03d"},"amount":{"N":"12.5"},"blob":{"S":"%s"}}', n % customers, n, n, n % 500, blob)
end

local bodies = {
  GetItem = function(n)
    n = (n * 7919) % items
    return string.format('{"TableName":"%s","Key":{"customer_id":{"S":"c%05d"},"sk":{"S":"p%09d"}}}', table_name, n % customers, n)
  end,
  PutItem = function(n)
    return string.format('{"TableName":"%s","Item":%s}', table_name, item(items + n))
  end,
  UpdateItem = function(n)
    n = (n * 7919) % items
    return string.format('{"TableName":"%s","Key":{"customer_id":{"S":"c%05d"},"sk":{"S":"p%09d"}},"UpdateExpression":"ADD amount :a","ExpressionAttributeValues":{":a":{"N":"1"}}}', table_name, n % customers, n)
  end,
  Query = function(n)
    return string.format('{"TableName":"%s","KeyConditionExpression":"customer_id = :c","ExpressionAttributeValues":{":c":{"S":"c%05d"}},"Limit":20}', table_name, (n * 7919) % customers)
  end,
  BatchWriteItem = function(n)
    local puts = {}
    for k = 1, 25 do
      puts[k] = string.format('{"PutRequest":{"Item":%s}}', item(items + n * 25 + k))
    end
    return string.format('{"RequestItems":{"%s":[%s]}}', table_name, table.concat(puts, ","))
  end,
}

function init(args)
  action, table_name, items = args[1], args[2], tonumber(args[3])
  wrk.headers["X-Amz-Target"] = "DynamoDB_20120810." .. action
  i = tonumber(args[4])
  customers = items / 50
end

function request()
  i = i + 1
  return wrk.format(nil, "/", nil, bodies[action](i))
end

function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.connect + summary.errors.timeout))
end
