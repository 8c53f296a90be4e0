-- The load of one scenario: requests picked at random from the file that is named behind `--`.
-- `done` prints one line for wrk.py to read.

local FRESH = string.rep("@", 15)
local LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
local asks, fresh, count = {}, {}, 0

local function fresh_id()
  local text = {}
  for position = 1, 15 do
    local at = math.random(#LETTERS)
    text[position] = LETTERS:sub(at, at)
  end
  return table.concat(text)
end

function init(args)
  math.randomseed(os.time() + tonumber(args[2]))
  for line in io.lines(args[1]) do
    local method, target, body = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = {}
    if body ~= "" then
      headers["Content-Type"] = "application/json"
    else
      body = nil
    end
    count = count + 1
    asks[count] = wrk.format(method, target, headers, body)
    fresh[count] = asks[count]:find(FRESH, 1, true) ~= nil
  end
end

function request()
  local at = math.random(count)
  if fresh[at] then
    return (asks[at]:gsub(FRESH, fresh_id()))
  end
  return asks[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"duration_us":%d,"refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
