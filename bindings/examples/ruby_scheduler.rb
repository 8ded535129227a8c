# The smallest Fiber scheduler that can wait for descriptors. Programs use one of a gem.
class Scheduler
  def initialize = @waiting = {}
  def fiber(&block) = Fiber.new(blocking: false, &block).tap(&:resume)
  def io_wait(io, events, _timeout) = (@waiting[io] = Fiber.current) && Fiber.yield && events
  def block(...) = Fiber.yield
  def unblock(_blocker, fiber) = fiber.resume
  def kernel_sleep(*) = raise(NotImplementedError)
  def close
    IO.select(@waiting.keys)[0].each { |io| @waiting.delete(io).resume(true) } until @waiting.empty?
  end
end
