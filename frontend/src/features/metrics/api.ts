import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, unwrap } from '@/lib/api'

export const RANGES = [
  { value: '1h', label: '1 h' },
  { value: '24h', label: '24 h' },
  { value: '7d', label: '7 d' },
  { value: '30d', label: '30 d' },
] as const

export type Range = (typeof RANGES)[number]['value']

export const metricKeys = {
  all: ['metrics'] as const,
  now: () => [...metricKeys.all, 'now'] as const,
  history: (range: Range) => [...metricKeys.all, 'history', range] as const,
}

export const metricsQuery = queryOptions({
  queryKey: metricKeys.now(),
  queryFn: () => unwrap(api.GET('/api/metrics')),
})

export function metricsHistoryQuery(range: Range) {
  return queryOptions({
    queryKey: metricKeys.history(range),
    queryFn: () => unwrap(api.GET('/api/metrics/history', { params: { query: { range } } })),
    placeholderData: keepPreviousData,
  })
}
