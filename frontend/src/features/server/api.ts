import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { explain } from '@/components/feedback'
import { api, unwrap } from '@/lib/api'
import { toast } from '@/store/toasts'

export const serverKeys = {
  health: ['server', 'health'] as const,
  drain: ['server', 'drain'] as const,
  about: ['server', 'about'] as const,
}

const HEALTH_EVERY_MS = 30_000
const DRAIN_EVERY_MS = 2000

/** Whether the server takes work, for whoever looks at any page. */
export const healthQuery = queryOptions({
  queryKey: serverKeys.health,
  queryFn: () => unwrap(api.GET('/health')),
  refetchInterval: HEALTH_EVERY_MS,
})

export const aboutQuery = queryOptions({
  queryKey: serverKeys.about,
  queryFn: () => unwrap(api.GET('/api/about')),
  staleTime: Number.POSITIVE_INFINITY,
})

/** No event tells of it: while somebody looks, it is asked for. */
export const drainQuery = queryOptions({
  queryKey: serverKeys.drain,
  queryFn: () => unwrap(api.GET('/api/admin/drain')),
  refetchInterval: DRAIN_EVERY_MS,
})

/** Take no more work; there is no way back but a restart. */
export function useDrain() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (graceSeconds: number | null) =>
      unwrap(
        api.POST('/api/admin/drain', {
          body: graceSeconds === null ? {} : { grace_seconds: graceSeconds },
        }),
      ),
    onSuccess: (state) => {
      client.setQueryData(serverKeys.drain, state)
      void client.invalidateQueries({ queryKey: serverKeys.health })
    },
    onError: (error) => toast('failed', explain(error)),
  })
}
