import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas, unwrap } from '@/lib/api'

export type Worker = Schemas['WorkerBody']
export type RunningStage = Schemas['RunningStage']

export const workerKeys = {
  list: ['workers'] as const,
  queue: ['workers', 'queue'] as const,
}

const REFRESH_MS = 3000

/** No event tells of a worker: while somebody looks, it is asked for. */
export const workersQuery = queryOptions({
  queryKey: workerKeys.list,
  queryFn: () => unwrap(api.GET('/api/workers')),
  refetchInterval: REFRESH_MS,
})

/** What is ready and waits for a worker, by pool. */
export const queueQuery = queryOptions({
  queryKey: workerKeys.queue,
  queryFn: () => unwrap(api.GET('/api/metrics/queue')),
  refetchInterval: REFRESH_MS,
})

/** It takes no more work; there is no way back but a restart. */
export function useDrainWorker() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (worker_id: string) =>
      unwrap(api.POST('/api/workers/{worker_id}/drain', { params: { path: { worker_id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: workerKeys.list }),
  })
}
