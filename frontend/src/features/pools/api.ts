import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas, unwrap } from '@/lib/api'

export type Pool = Schemas['PoolBody']

const REFRESH_MS = 3000

/** No event tells of a slot: while somebody looks, it is asked for. */
export const poolsQuery = queryOptions({
  queryKey: ['pools'],
  queryFn: () => unwrap(api.GET('/api/pools')),
  refetchInterval: REFRESH_MS,
})

/** Define a pool, or change how many slots it has. */
export function useSetPool() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ name, slots }: { name: string; slots: number }) =>
      unwrap(api.PUT('/api/pools/{name}', { params: { path: { name } }, body: { slots } })),
    onSuccess: () => client.invalidateQueries({ queryKey: poolsQuery.queryKey }),
  })
}

export function useDeletePool() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) =>
      unwrap(api.DELETE('/api/pools/{name}', { params: { path: { name } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: poolsQuery.queryKey }),
  })
}
