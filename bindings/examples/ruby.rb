# Ruby with fiddle: IO.for_fd makes the descriptor an IO for IO.select. Each file is one chain: open, read, close.
require "fiddle/import"
require "zlib"

module Caio
  extend(Fiddle::Importer).dlload "libcaio.so.0"
  READ, OPENAT, CLOSE, LINK, FULL, OPENED = 1, 10, 11, 1, 2, -2
  ["int caio_ctx_new(void *options, void *ctx)", "void caio_ctx_free(void *ctx)", "int caio_ctx_eventfd(void *ctx)",
   "int caio_ctx_submit(void *ctx, void *ops, unsigned int count)", "int caio_ctx_poll(void *ctx, void *events, unsigned int max)",
   "char *caio_strerror(int error)"].each { |declaration| extern declaration }

  # The 64 bytes of caio_op.
  def self.op(data, opcode, flags, fd, buf: 0, len: 0, sys_flags: 0) =
    [data, opcode, flags, 0, fd, buf, len, 0, sys_flags, 0, 0, 0].pack("QCCSlQQQLLQQ")
  def self.checked(result) = result >= 0 ? result : raise(caio_strerror(result).to_s)
end

class Reader
  SIZE, IN_FLIGHT, Chain = 1 << 18, 32, Struct.new(:buffer, :left)
  def initialize(paths)
    @paths, @contents, @next, @in_flight = paths, [], 0, {} # an entry holds the buffer until the last event
    @events = Fiddle::Pointer.malloc(16 * 64, Fiddle::RUBY_FREE)
    Caio.checked(Caio.caio_ctx_new(nil, @events)) # writes a pointer
    @ctx = @events.ptr
  end

  def start
    while @in_flight.size < IN_FLIGHT && @next < @paths.size
      buffer, path = Fiddle::Pointer.malloc(SIZE, Fiddle::RUBY_FREE), Fiddle::Pointer[@paths[@next]]
      ops = Caio.op(@next * 3, Caio::OPENAT, Caio::LINK, -100, buf: path.to_i, sys_flags: File::RDONLY | 0o2000000) + # O_CLOEXEC
            Caio.op(@next * 3 + 1, Caio::READ, Caio::LINK | Caio::FULL, Caio::OPENED, buf: buffer.to_i, len: SIZE) +
            Caio.op(@next * 3 + 2, Caio::CLOSE, 0, Caio::OPENED)
      @in_flight[@next] = Chain.new(buffer, 3)
      Caio.checked(Caio.caio_ctx_submit(@ctx, ops, 3)) # copies the path
      @next += 1
    end
  end

  def on_readable
    count = Caio.checked(Caio.caio_ctx_poll(@ctx, @events, 64))
    @events[0, 16 * count].unpack("Qq" * count).each_slice(2) do |data, result|
      index, step = data.divmod(3)
      Caio.checked(result)
      @contents[index] = @in_flight[index].buffer[0, result] if step == 1
      @in_flight.delete(index) if (@in_flight[index].left -= 1).zero?
    end
    start
  end

  def run
    readable = IO.for_fd(Caio.caio_ctx_eventfd(@ctx), autoclose: false) # the context closes it
    start
    on_readable while !@in_flight.empty? && IO.select([readable])
    Caio.caio_ctx_free(@ctx)
    @contents
  end
end

puts format("%08x", Zlib.adler32(Reader.new($stdin.each_line(chomp: true).to_a).run.join))
