import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas, unwrap } from '@/lib/api'

export type MaintenanceWindow = Schemas['WindowBody']

const REFRESH_MS = 30_000

/** No event tells of them: while somebody looks, they are asked for. */
export const maintenanceQuery = queryOptions({
  queryKey: ['maintenance'],
  queryFn: () => unwrap(api.GET('/api/ai/maintenance')),
  refetchInterval: REFRESH_MS,
})

export function usePlanMaintenance() {
  return useChange((body: Schemas['WindowRequest']) =>
    unwrap(api.POST('/api/ai/maintenance', { body })),
  )
}

export function useEndMaintenance() {
  return useChange((window_id: string) =>
    unwrap(api.POST('/api/ai/maintenance/{window_id}/end', { params: { path: { window_id } } })),
  )
}

export function useDeleteMaintenance() {
  return useChange((window_id: string) =>
    unwrap(api.DELETE('/api/ai/maintenance/{window_id}', { params: { path: { window_id } } })),
  )
}

function useChange<Given, Answer>(change: (given: Given) => Promise<Answer>) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: change,
    // What was refused may have changed meanwhile, too.
    onSettled: () => client.invalidateQueries({ queryKey: maintenanceQuery.queryKey }),
  })
}
