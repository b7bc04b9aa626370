import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Segmented } from '@/components/ui/segmented'
import { DownloadMenu } from '@/features/executions/components/inspector/download-menu'
import { TablePreview } from '@/features/executions/components/inspector/table-preview'
import { TableProfile } from '@/features/executions/components/inspector/table-profile'
import type { Schemas } from '@/lib/api'
import { formatBytes, plural } from '@/lib/format'

type Artifact = Schemas['ArtifactBody']

const VIEWS = [
  { value: 'rows', label: 'Rows' },
  { value: 'columns', label: 'Columns' },
] as const

type ArtifactViewProps = {
  artifact: Artifact
  /** A table that still holds the rows which its stage refused. */
  holdsRefused?: boolean
}

/** One artifact: what it is, its rows or columns when it is a table, and a way to take it along. */
export function ArtifactView({ artifact, holdsRefused = false }: ArtifactViewProps) {
  const [view, setView] = useState<'rows' | 'columns'>('rows')
  const isTable = artifact.kind === 'table' || artifact.kind === 'quarantine'
  return (
    <section aria-label={artifact.name} className="border-b border-border-soft last:border-b-0">
      <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1.5 px-4 py-2">
        {artifact.kind === 'quarantine' && <Icon name="warning" className="text-state-retrying" />}
        <h3 className="mono font-semibold">{artifact.name}</h3>
        <span className="text-small text-muted-foreground">
          {artifact.kind === 'quarantine' && 'refused rows, '}
          {artifact.rows !== null && `${plural(artifact.rows, 'row')}, `}
          {holdsRefused && 'with those refused, '}
          {formatBytes(artifact.bytes)}
        </span>
        <span className="ml-auto flex items-center gap-1.5">
          {isTable && <Segmented label="View" options={VIEWS} value={view} onChange={setView} />}
          <DownloadMenu artifact={artifact} isTable={isTable} />
        </span>
      </div>
      {isTable && view === 'rows' && (
        <TablePreview source={{ artifactId: artifact.id }} name={artifact.name} />
      )}
      {isTable && view === 'columns' && <TableProfile artifactId={artifact.id} />}
    </section>
  )
}
