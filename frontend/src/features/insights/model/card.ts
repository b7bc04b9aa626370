import type { Schemas } from '@/lib/api'

/** What a model's card holds. It is shown as far as it is there: an older server's card may have less. */
export type Figures = Record<string, number | null>
export type CalibrationBin = { runs: number; predicted: number; happened: number }
export type ModelCard = {
  runs: number | null
  failures: number | null
  champion: string | null
  metrics: Figures
  baselines: Record<string, Figures>
  calibration: CalibrationBin[]
  drift: { label: string; index: number }[]
}

export function readCard(card: Schemas['ModelBody']['card']): ModelCard {
  return {
    runs: number(card.runs),
    failures: number(card.failures),
    champion: typeof card.champion === 'string' ? card.champion : null,
    metrics: figures(card.metrics),
    baselines: Object.fromEntries(
      Object.entries(record(card.baselines)).map(([name, values]) => [name, figures(values)]),
    ),
    calibration: list(card.calibration).map((bin) => ({
      runs: number(bin.runs) ?? 0,
      predicted: number(bin.predicted) ?? 0,
      happened: number(bin.happened) ?? 0,
    })),
    drift: list(card.drift).map((one) => ({
      label: String(one.label ?? one.feature ?? ''),
      index: number(one.index) ?? 0,
    })),
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(record) : []
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

function figures(value: unknown): Figures {
  return Object.fromEntries(Object.entries(record(value)).map(([key, one]) => [key, number(one)]))
}
