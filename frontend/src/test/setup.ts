import '@testing-library/jest-dom/vitest'
import { cleanup, configure } from '@testing-library/react'
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'
import { useConnection } from '@/store/connection'
import { useSession } from '@/store/session'
import { useToasts } from '@/store/toasts'
import { resetSockets } from '@/test/fake-socket'
import { server } from '@/test/server'

// Generous, for a machine that is busy with other things.
configure({ asyncUtilTimeout: 5000 })

vi.mock('socket.io-client', async () => ({
  io: (await import('@/test/fake-socket')).openFakeSocket,
}))

// What jsdom has no layout for.
vi.stubGlobal(
  'ResizeObserver',
  class {
    readonly #notify: ResizeObserverCallback
    constructor(notify: ResizeObserverCallback) {
      this.#notify = notify
    }
    observe(target: Element) {
      const contentRect = { width: 800, height: 400 } as DOMRectReadOnly
      this.#notify([{ target, contentRect } as ResizeObserverEntry], this)
    }
    unobserve() {}
    disconnect() {}
  },
)
window.matchMedia = (query) =>
  Object.assign(new EventTarget(), { matches: false, media: query }) as unknown as MediaQueryList
window.scrollTo = () => undefined
Element.prototype.scrollIntoView = () => undefined
Element.prototype.scrollTo = () => undefined
for (const [name, size] of [
  ['clientHeight', 600],
  ['clientWidth', 800],
] as const) {
  Object.defineProperty(HTMLElement.prototype, name, { get: () => size })
}

beforeAll(() => server.listen({ onUnhandledRequest: 'error' }))
beforeEach(() => useSession.setState({ status: 'unknown' }, true))
afterEach(() => {
  cleanup()
  server.resetHandlers()
  resetSockets()
  useToasts.setState({ toasts: [] })
  useConnection.setState({ status: 'connecting' })
})
afterAll(() => server.close())
