import { explain } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Menu, MenuContent, MenuItem, MenuTrigger } from '@/components/ui/menu'
import { api, type Schemas, unwrap } from '@/lib/api'
import { toast } from '@/store/toasts'

const FORMATS = [
  { format: 'csv', label: 'CSV', extension: 'csv' },
  { format: 'json', label: 'JSON', extension: 'json' },
  { format: 'parquet', label: 'Parquet', extension: 'parquet' },
] as const

type Format = (typeof FORMATS)[number]['format'] | 'original'

type DownloadMenuProps = { artifact: Schemas['ArtifactBody']; isTable: boolean }

export function DownloadMenu({ artifact, isTable }: DownloadMenuProps) {
  if (!isTable) {
    return (
      <Button size="small" onClick={() => void download(artifact, 'original', artifact.name)}>
        <Icon name="download" className="size-3.5" />
        Download
      </Button>
    )
  }
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button size="icon" variant="ghost" aria-label={`Download ${artifact.name}`}>
          <Icon name="download" />
        </Button>
      </MenuTrigger>
      <MenuContent align="end">
        {FORMATS.map(({ format, label, extension }) => (
          <MenuItem
            key={format}
            icon="download"
            onSelect={() =>
              void download(artifact, format, `${artifact.stage}-${artifact.name}.${extension}`)
            }
          >
            {label}
          </MenuItem>
        ))}
      </MenuContent>
    </Menu>
  )
}

/** A plain link could not carry the access token. */
async function download(
  artifact: Schemas['ArtifactBody'],
  format: Format,
  name: string,
): Promise<void> {
  try {
    const blob = await unwrap<Blob>(
      api.GET('/api/artifacts/{artifact_id}/download', {
        params: { path: { artifact_id: artifact.id }, query: { format } },
        parseAs: 'blob',
      }),
    )
    const url = URL.createObjectURL(blob)
    const link = document.createElement('a')
    link.href = url
    link.download = name
    link.click()
    URL.revokeObjectURL(url)
  } catch (error) {
    toast('failed', error instanceof Error ? explain(error) : 'The download failed.')
  }
}
