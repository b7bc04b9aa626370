import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { SkeletonRows } from '@/components/ui/skeleton'
import { previewQuery, type TableSource } from '@/features/executions/api'
import { cn } from '@/lib/cn'
import { formatCount } from '@/lib/format'

const PAGE = 50
/** Rows shown above and below a marked one. */
const AROUND = 3

type TablePreviewProps = {
  source: TableSource
  name: string
  /** A row to open at and mark, counted from 1, and the column that is wrong in it. */
  mark?: { row: number; column: string | null } | null
}

/** A page of a table; the rest stays on the server. */
export function TablePreview({ source, name, mark = null }: TablePreviewProps) {
  const [offset, setOffset] = useState(mark ? Math.max(0, mark.row - 1 - AROUND) : 0)
  const limit = mark ? 2 * AROUND + 1 : PAGE
  const preview = useQuery(previewQuery(source, offset, limit))

  if (preview.isPending) return <SkeletonRows rows={5} label="Loading the rows" />
  if (preview.error) {
    return (
      <ErrorPanel error={preview.error} what="The preview" onRetry={() => void preview.refetch()} />
    )
  }
  const { columns, rows, total_rows } = preview.data
  if (total_rows === 0) return <p className="p-4 text-muted-foreground">The table has no rows.</p>
  const order = columnOrder(columns, mark?.column ?? null)
  const last = preview.data.offset + rows.length
  return (
    <div>
      <div
        className="max-h-[360px] overflow-auto -outline-offset-2"
        tabIndex={0}
        role="region"
        aria-label={`Rows of ${name}`}
      >
        <table className="w-full border-collapse text-small">
          <thead className="sticky top-0 z-10 bg-card">
            <tr className="border-b border-border-soft text-left text-muted-foreground">
              <th scope="col" className="py-1.5 pr-2 pl-4 font-medium">
                #
              </th>
              {order.map(({ name, type }) => (
                <th key={name} scope="col" className="px-2 py-1.5 font-medium whitespace-nowrap">
                  {name} <span className="text-[10.5px] font-normal">{type?.toLowerCase()}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody className="mono">
            {rows.map((row, position) => {
              const number = preview.data.offset + position + 1
              const marked = mark?.row === number
              return (
                <tr
                  key={number}
                  className={cn(
                    'border-b border-border-soft last:border-b-0',
                    marked && 'bg-state-failed-tint font-semibold text-state-failed',
                  )}
                >
                  <th
                    scope="row"
                    className="py-1 pr-2 pl-4 text-left font-normal text-muted-foreground"
                  >
                    {formatCount(number)}
                  </th>
                  {order.map(({ name, place }) => (
                    <td
                      key={name}
                      className={cn(
                        'max-w-[260px] truncate px-2 py-1',
                        marked &&
                          mark.column === name &&
                          'underline decoration-2 underline-offset-2',
                      )}
                    >
                      <Cell value={row[place]} />
                    </td>
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      <div className="flex flex-wrap items-center gap-2 border-t border-border-soft px-4 py-2 text-small text-muted-foreground">
        rows {formatCount(preview.data.offset + 1)} to {formatCount(last)} of{' '}
        {formatCount(total_rows)}
        <span className="ml-auto flex gap-1.5">
          <Button
            size="small"
            disabled={offset === 0 || preview.isPlaceholderData}
            onClick={() => setOffset(Math.max(0, offset - limit))}
          >
            Before
          </Button>
          <Button
            size="small"
            disabled={last >= total_rows || preview.isPlaceholderData}
            onClick={() => setOffset(offset + limit)}
          >
            Next
          </Button>
        </span>
      </div>
    </div>
  )
}

/** The wrong one first: in a wide table it would be out of sight. `place` is where it stands in the table. */
function columnOrder(columns: Record<string, string>[], wrong: string | null) {
  const all = columns.map(({ name, type }, place) => ({ name, type, place }))
  return [...all.filter(({ name }) => name === wrong), ...all.filter(({ name }) => name !== wrong)]
}

/** An empty cell and the text "null" must not look alike. */
function Cell({ value }: { value: unknown }) {
  if (value === null || value === undefined) {
    return <span className="font-sans text-muted-foreground italic">null</span>
  }
  return <>{typeof value === 'object' ? JSON.stringify(value) : String(value)}</>
}
